package egress

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"

	"github.com/claude-bottle/claude-bottle/policy"
)

// forward sends what was decided on and answers with the origin's response.
func (x *exchange) forward() {
	if d := x.addressOfPlain(); d != nil {
		x.refuseLate(*d)
		return
	}
	out := (&http.Request{
		Method:     x.in.Method,
		URL:        x.url(),
		Host:       x.hostHeader(),
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     x.in.Header,
	}).WithContext(x.traced())
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // net/http would add its own
	}
	if x.plain && x.role.NextHop != nil {
		if authorization := x.role.hopAuthorization(); authorization != "" {
			out.Header["Proxy-Authorization"] = []string{authorization}
		}
	}
	if x.body != nil {
		x.body.attach(out, x)
	}
	response, err := x.live.transport(x).RoundTrip(out)
	if err != nil {
		x.failed(err)
		return
	}
	defer response.Body.Close()
	x.respond(response)
}

// addressOfPlain checks the address of a plain request that goes through the
// next hop: connections to that are shared by names, so no dial checks it.
func (x *exchange) addressOfPlain() *policy.Decision {
	if !x.plain || x.role.NextHop == nil {
		return nil
	}
	_, err := x.role.resolve(x.ctx, x.authority.Host, x.route.Networks)
	var refusedAddress *addressError
	if errors.As(err, &refusedAddress) {
		return x.block(policy.Address, err.Error(), remedyAddress)
	}
	return nil // the next hop says what is wrong with the name
}

// refuseLate refuses after permit.
func (x *exchange) refuseLate(d policy.Decision) {
	if d.Rule == policy.Address {
		x.refund()
	}
	x.role.refuse(x.w, d)
}

// traced is the exchange's context, which notes for a grant that the request was
// sent.
func (x *exchange) traced() context.Context {
	if !x.counted {
		return x.ctx
	}
	return httptrace.WithClientTrace(x.ctx, &httptrace.ClientTrace{WroteHeaders: func() { x.begun.Store(true) }})
}

// refund takes back the use of a grant, unless the request was sent: a second
// try may fail in ways that the first did not.
func (x *exchange) refund() {
	if x.counted && !x.begun.Load() {
		x.role.grants.refund(x.route.Grant)
	}
}

// failed answers when no response came.
func (x *exchange) failed(err error) {
	if d := x.lateBlock(); d != nil {
		x.refuseLate(*d)
		return
	}
	var refusedAddress *addressError
	if errors.As(err, &refusedAddress) {
		x.refuseLate(*x.block(policy.Address, refusedAddress.Error(), remedyAddress))
		return
	}
	var notDialled *dialError
	if errors.As(err, &notDialled) {
		x.refund()
	}
	if x.cutReason() != "" || x.in.Context().Err() != nil {
		x.abort()
	}
	status, reason := diagnose(err)
	x.status = status
	x.conclude("failed", reason)
	upstreamTrouble(x.w, status, x.authority.Host.String(), reason)
}

// lateBlock is the refusal that came up while the body was read; nil is none.
func (x *exchange) lateBlock() *policy.Decision {
	if x.body != nil {
		if found := x.body.finding.Load(); found != nil {
			return x.blockSecret(found)
		}
	}
	if x.patient.gaveUp() {
		return x.block(policy.Malformed, reasonStalled, remedyMalformed)
	}
	if wire := x.wire(); wire != nil {
		if v := wire.broken.Load(); v != nil {
			return x.block(v.rule, v.reason, remedyMalformed)
		}
	}
	return nil
}

// wire is the exchange's HTTP/1 connection; nil over HTTP/2.
func (x *exchange) wire() *wireConn {
	if x.tunnel != nil {
		return x.tunnel.wire
	}
	return proxyConnOf(x.in).wireConn
}

// abort ends the exchange without a clean end of the response.
func (x *exchange) abort() {
	if d := x.lateBlock(); d != nil {
		_ = x.role.recordBlock("request", *d)
	}
	x.conclude("cut", cmp.Or(x.cutReason(), "the agent left"))
	panic(http.ErrAbortHandler)
}

// conclude records how an allowed exchange ended.
func (x *exchange) conclude(decision, reason string) {
	detail := detailOf(x.about())
	detail["status"], detail["bytes_out"], detail["bytes_in"] = x.status, x.sent.Load(), x.got
	if reason != "" {
		detail["reason"] = reason
	}
	x.role.recordEnd(decision, detail)
}

// diagnose puts an upstream's failure in words that hold nothing of the
// request.
func diagnose(err error) (status int, reason string) {
	var (
		hop       *hopError
		dns       *net.DNSError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		notDialed *dialError
		timeout   net.Error
	)
	switch {
	case errors.As(err, &hop):
		return http.StatusBadGateway, hop.Error()
	case errors.As(err, &dns) && dns.IsNotFound:
		return http.StatusBadGateway, "the name does not exist"
	case errors.As(err, &dns):
		return http.StatusBadGateway, "the name could not be resolved"
	case errors.As(err, &verify):
		return http.StatusBadGateway, "the origin's certificate is not trusted: " + verify.Err.Error()
	case errors.As(err, &record):
		return http.StatusBadGateway, "the origin does not speak TLS"
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout, "the origin did not answer in time"
	case errors.As(err, &notDialed):
		return http.StatusBadGateway, "no connection to the origin came about"
	default:
		return http.StatusBadGateway, "the origin broke the connection off"
	}
}
