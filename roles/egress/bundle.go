package egress

import (
	"net/http"

	"github.com/claude-bottle/claude-bottle/canon"
)

// bundleHost is the name under which the proxy answers for itself.
const bundleHost = "_egress.local"

var bundleAuthority = func() canon.Authority {
	host, err := canon.ParseHost(bundleHost)
	if err != nil {
		panic(err)
	}
	return canon.Authority{Host: host, Port: 80}
}()

// serveBundle answers http://_egress.local/allowlist with the table in force.
func (r *Role) serveBundle(x *exchange) {
	if d := canonicalise(x); d != nil {
		r.refuse(x.w, *d)
		return
	}
	if x.path != "/allowlist" {
		http.NotFound(x.w, x.in)
		return
	}
	if x.in.Method != http.MethodGet && x.in.Method != http.MethodHead {
		x.w.Header().Set("Allow", "GET, HEAD")
		http.Error(x.w, "the list is read with GET", http.StatusMethodNotAllowed)
		return
	}
	x.w.Header().Set("Content-Type", "application/json")
	_, _ = x.w.Write(x.live.table.JSON(x.live.generation))
}
