package main_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/claude-bottle/claude-bottle/internal/dnstest"
	"github.com/claude-bottle/claude-bottle/internal/pkitest"
)

// internet is all hosts that a bottle of a test can reach: a name server that
// gives them an address, and a next hop for egress that leads them all to one
// server on this machine.
type internet struct {
	names  string // address of the name server
	hop    string // URL of the next hop
	caFile string // the authority that the hosts' certificates are from

	mu    sync.Mutex
	asked []string // authorities that the next hop was asked for
}

// newInternet serves the hosts until the test ends.
func newInternet(t *testing.T, hosts map[string]http.Handler) *internet {
	t.Helper()
	ca, err := pkitest.New("the internet of a test")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range hosts {
		names = append(names, name)
	}
	certificate, err := ca.TLS(names...)
	if err != nil {
		t.Fatal(err)
	}
	n := &internet{caFile: filepath.Join(t.TempDir(), "internet.pem")}
	if err := os.WriteFile(n.caFile, ca.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	origin := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host, ok := hosts[r.Host]; ok {
			host.ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	}))
	origin.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	origin.StartTLS()
	t.Cleanup(origin.Close)
	hop := httptest.NewServer(n.connect(origin.Listener.Addr().String()))
	t.Cleanup(hop.Close)
	n.hop = hop.URL
	n.names = dnstest.Serve(t, publicAddress, names...)
	return n
}

// env is what an operator sets so that bottles use it.
func (n *internet) env() []string {
	return []string{"EGRESS_RESOLVER=" + n.names, "EGRESS_UPSTREAM_PROXY=" + n.hop, "EGRESS_UPSTREAM_CA=" + n.caFile}
}

// publicAddress is what the hosts' names lead to; nobody dials it, because the
// next hop is asked for the names.
var publicAddress = netip.MustParseAddr("8.8.4.4")

// connect is an HTTP proxy of CONNECT alone.
func (n *internet) connect(origin string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		n.asked = append(n.asked, r.Host)
		n.mu.Unlock()
		if r.Method != http.MethodConnect {
			http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
			return
		}
		to, err := net.Dial("tcp", origin)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer to.Close()
		from, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer from.Close()
		if _, err := io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
			return
		}
		go func() {
			io.Copy(to, from)
			to.Close()
		}()
		io.Copy(from, to)
	}
}

// reached tells whether the next hop was asked for an authority.
func (n *internet) reached(authority string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.asked, authority)
}

// authorities are those that the next hop was asked for, each once.
func (n *internet) authorities() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := slices.Clone(n.asked)
	slices.Sort(all)
	return slices.Compact(all)
}
