package egress

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/claude-bottle/claude-bottle/internal/http1"
)

// upstream is the connections to origins that requests of one class share.
type upstream struct {
	// short is for requests that are there whole, the most by far; nil = all
	// go the other way.
	short *http1.Transport
	any   *http.Transport
}

// pick is what sends the exchange's request.
func (u *upstream) pick(x *exchange) http.RoundTripper {
	short := u.short != nil && !x.webSocket && x.in.Header["Expect"] == nil &&
		(x.body == nil || x.body.rest == nil && len(x.body.buffered) <= http1.MostBody)
	if short {
		return u.short
	}
	return u.any
}

// retire ends the connections that no request uses, and those in use with
// their request.
func (u *upstream) retire() {
	if u.short != nil {
		u.short.Retire()
	}
	u.any.CloseIdleConnections()
}

// tidy closes what was idle for long.
func (u *upstream) tidy(now time.Time) {
	if u.short != nil {
		u.short.CloseIdleSince(now.Add(-idleUpstream))
	}
}

const (
	// idleUpstream is how long an unused connection to an origin is kept,
	// maxIdleUpstream and maxIdleOrigin how many, in all and to one origin.
	idleUpstream    = 90 * time.Second
	maxIdleUpstream = 512
	maxIdleOrigin   = 64
	// expectWait is how long an origin may take to ask for a body that waits
	// to be asked for.
	expectWait = 5 * time.Second
	// maxResponseHead bounds a response's head.
	maxResponseHead = 1 << 20
	copyBuffer      = 32 << 10
)

func (r *Role) newUpstream(c class, networks []netip.Prefix) *upstream {
	roots := r.trust.origins
	if c.inspect {
		roots = r.trust.inspected
	}
	t := &http.Transport{
		DialContext:            r.dialer(networks),
		TLSClientConfig:        clientTLS(roots),
		TLSHandshakeTimeout:    handshakeTimeout,
		MaxIdleConnsPerHost:    maxIdleOrigin,
		MaxIdleConns:           maxIdleUpstream,
		IdleConnTimeout:        idleUpstream,
		ExpectContinueTimeout:  expectWait,
		MaxResponseHeaderBytes: maxResponseHead,
		DisableCompression:     true,
		WriteBufferSize:        copyBuffer,
		ReadBufferSize:         copyBuffer / 4,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	t.Protocols.SetHTTP2(c.http2)
	if c.plain && r.NextHop != nil {
		// The next hop takes plain HTTP in absolute form, not in a tunnel.
		t.Proxy = http.ProxyURL(nextHopURL)
		t.DialContext = r.dialNextHop
	}
	u := &upstream{any: t}
	if !c.plain && !c.http2 {
		u.short = &http1.Transport{
			Dial:             t.DialContext,
			TLS:              t.TLSClientConfig,
			HandshakeTimeout: handshakeTimeout,
			MaxHead:          maxResponseHead,
			MaxIdle:          maxIdleUpstream,
			MaxIdlePerHost:   maxIdleOrigin,
		}
	}
	return u
}
