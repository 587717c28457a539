package egress

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/policy"
)

// canonicalise reads what a request asks for and refuses what has no single
// reading. Later steps look at the exchange's fields, not at the request line.
func canonicalise(x *exchange) *policy.Decision {
	if x.tunnel != nil {
		if d := sameAuthority(x); d != nil {
			return d
		}
	}
	if d := knownUpgrade(x); d != nil {
		return d
	}
	target, ok := x.target()
	if !ok {
		return x.block(policy.Malformed, "inside a tunnel a request names a path, not a server", remedyMalformed)
	}
	var path string
	path, x.query, x.hasQuery = strings.Cut(target, "?")
	if !plainQuery(x.query) {
		return x.block(policy.Malformed, "the query holds a character that does not belong in a URL", remedyMalformed)
	}
	read, sent, err := canon.ParseSlashedPath(path)
	switch {
	case errors.Is(err, canon.ErrPath):
		return x.ambiguousPath(err)
	case err != nil:
		return x.block(policy.Malformed, err.Error(), remedyMalformed)
	}
	x.path, x.sentPath = read, sent
	return nil
}

// target is the path and query as they came.
func (x *exchange) target() (string, bool) {
	target := x.in.RequestURI
	if !x.plain {
		return target, strings.HasPrefix(target, "/")
	}
	_, target, _ = strings.Cut(target, "://")
	if i := strings.IndexAny(target, "/?"); i < 0 {
		return "/", true
	} else if target[i] == '?' {
		return "/" + target[i:], true
	} else {
		return target[i:], true
	}
}

// sameAuthority: CONNECT, TLS and every request of the connection name one
// server.
func sameAuthority(x *exchange) *policy.Decision {
	t := x.tunnel
	if t.strange != "" {
		return x.block(policy.AuthorityMismatch, t.strange, remedyAuthority)
	}
	// HTTP/2 lets a Host come beside its :authority.
	for _, host := range append([]string{x.in.Host}, x.in.Header["Host"]...) {
		if host == t.host {
			continue
		}
		a, err := canon.ParseAuthority(host, t.authority.Port)
		if err != nil || a != t.authority {
			return x.block(policy.AuthorityMismatch, "the request's Host is another than CONNECT's, which was "+t.authority.String(), remedyAuthority)
		}
	}
	return nil
}

// knownUpgrade refuses every change of protocol but that to WebSocket.
func knownUpgrade(x *exchange) *policy.Decision {
	h := x.in.Header
	upgrade := h["Upgrade"]
	if len(upgrade) == 0 && len(h["Http2-Settings"]) == 0 && !httpguts.HeaderValuesContainsToken(h["Connection"], "upgrade") {
		return nil
	}
	x.webSocket = x.in.ProtoMajor == 1 && len(upgrade) == 1 && strings.EqualFold(upgrade[0], "websocket") &&
		httpguts.HeaderValuesContainsToken(h["Connection"], "upgrade") &&
		x.in.Method == http.MethodGet && x.in.ContentLength == 0 &&
		len(h["Sec-Websocket-Key"]) == 1 && len(h["Http2-Settings"]) == 0
	if !x.webSocket {
		return x.block(policy.Upgrade, "only a change of protocol to WebSocket is understood", "send the request without Upgrade")
	}
	return nil
}

// ambiguousPath is the refusal of a path without canonical form. What comes
// before the path in the order of rules is asked first.
func (x *exchange) ambiguousPath(err error) *policy.Decision {
	r := x.request()
	r.Path, r.RawQuery = "/", ""
	if _, d := x.live.table.Decide(r, time.Now(), x.role.spent); !d.Allow && d.Rule != policy.Path && d.Rule != policy.GitWrite {
		d = completed(d, x.about())
		return &d
	}
	return x.block(policy.Path, err.Error(), "send the path in its plain form")
}

// plainQuery reports whether a query can be forwarded as it is.
func plainQuery(query string) bool {
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c == 0x7f || c == '#' {
			return false
		}
	}
	return true
}

// rawPath is the path of a target that could not be read, without authority
// and query.
func rawPath(target string) string {
	path, _, _ := strings.Cut(target, "?")
	if _, rest, ok := strings.Cut(path, "://"); ok && path[0] != '/' {
		path = rest[max(0, strings.IndexByte(rest, '/')):]
	}
	if !strings.HasPrefix(path, "/") {
		return "/"
	}
	return path
}

// url is the forwarded URL: exactly what was decided on.
func (x *exchange) url() *url.URL {
	u := &url.URL{Scheme: "https", Host: x.authority.String(), Opaque: string(x.sentPath), RawQuery: x.query, ForceQuery: x.hasQuery}
	if x.plain {
		u.Scheme = "http"
		if x.role.NextHop != nil {
			u.Opaque = "//" + x.hostHeader() + u.Opaque
		}
	}
	return u
}

// hostHeader is the Host that the origin is sent.
func (x *exchange) hostHeader() string {
	if x.plain && x.authority.Port == 80 || !x.plain && x.authority.Port == 443 {
		if ip, ok := x.authority.Host.IP(); ok && ip.Is6() {
			return "[" + x.authority.Host.String() + "]"
		}
		return x.authority.Host.String()
	}
	return x.authority.String()
}
