package supervise

import (
	"net"
	"net/http"
	"net/netip"

	"github.com/claude-bottle/claude-bottle/canon"
)

// guard lets through what a client of this server sends, and not what a web
// page or a rebound name makes a browser send.
type guard struct {
	names map[canon.Host]bool
	next  http.Handler
}

func newGuard(slug string, listeners []net.Listener, next http.Handler) *guard {
	g := &guard{names: make(map[canon.Host]bool), next: next}
	names := []string{"localhost", "127.0.0.1", "supervise", "claude-bottle-supervise-" + slug}
	for _, l := range listeners {
		if address, err := netip.ParseAddrPort(l.Addr().String()); err == nil && !address.Addr().IsUnspecified() {
			names = append(names, address.Addr().Unmap().String())
		}
	}
	for _, name := range names {
		if host, err := canon.ParseHost(name); err == nil {
			g.names[host] = true
		}
	}
	return g
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !g.ours(r):
		http.Error(w, "supervise: this server has another name", http.StatusForbidden)
	case foreign(r):
		http.Error(w, "supervise: web pages are not served", http.StatusForbidden)
	case r.URL.Path != "/" && r.URL.Path != "/mcp":
		http.Error(w, "supervise: the endpoint is /mcp", http.StatusNotFound)
	default:
		g.next.ServeHTTP(w, r)
	}
}

// ours reports whether Host names this server: one of its names, or the
// address that the connection came to.
func (g *guard) ours(r *http.Request) bool {
	host, err := canon.ParseAuthority(r.Host, 80)
	if err != nil {
		return false
	}
	if g.names[host.Host] {
		return true
	}
	ip, literal := host.Host.IP()
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return literal && ok && local.AddrPort().Addr().Unmap() == ip
}

// foreign reports whether a browser sent the request for a page of another
// origin. Clients that are no browsers send neither header.
func foreign(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	origins := r.Header.Values("Origin")
	return site != "" && site != "same-origin" ||
		len(origins) > 1 || len(origins) == 1 && origins[0] != "http://"+r.Host
}
