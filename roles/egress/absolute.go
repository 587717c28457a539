package egress

import (
	"net/http"
	"strings"
	"time"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/policy"
)

// serveAbsolute serves a request in absolute form, which is plain HTTP.
func (r *Role) serveAbsolute(w http.ResponseWriter, req *http.Request) {
	about := policy.Decision{Method: req.Method, Path: rawPath(req.RequestURI)}
	scheme, rest, ok := strings.Cut(req.RequestURI, "://")
	if !ok || !strings.EqualFold(scheme, "http") {
		r.refuse(w, blocked(policy.Malformed, about, "the proxy takes http:// URLs in absolute form and everything else by CONNECT", remedyMalformed))
		return
	}
	text := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		text = rest[:i]
	}
	authority, err := canon.ParseAuthority(text, 80)
	if err != nil {
		about.Host, about.Path = bareHost(text), "/"
		r.refuse(w, unreadableHost(about, text))
		return
	}
	x := &exchange{role: r, live: r.live.Load(), w: w, in: req, authority: authority, plain: true}
	if authority == bundleAuthority {
		r.serveBundle(x)
		return
	}
	if d := x.live.table.Authority(authority, true, time.Now(), r.spent); !d.Allow {
		r.refuse(w, completed(d, x.about()))
		return
	}
	if d := x.live.scanHost(authority.Host, bareHost(text), x.about()); d != nil {
		r.refuse(w, *d)
		return
	}
	r.serve(x)
}

// bareHost is the host of an authority that canon may not be able to read: it
// drops the user, the port and an IPv6 address's brackets.
func bareHost(authority string) string {
	host := authority[strings.LastIndexByte(authority, '@')+1:]
	if i := strings.LastIndexByte(host, ':'); i >= 0 && (strings.IndexByte(host, ':') == i || host[i-1] == ']') {
		host = host[:i]
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}
