// Package egress is the bottle's way out: an HTTP proxy that decides on every
// request, ends TLS to do so, scans what leaves, takes the agent's credentials
// off and puts the operator's on. What was decided on is what is forwarded.
//
// A caller needs New, Run and Reload. A request's way is the list of steps in
// pipeline.go, one file a step; connect.go and tunnel.go lead to it.
package egress

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// Config of New. Only Listeners, RoutesPath, CACertPath and CAKeyPath must be
// set.
type Config struct {
	// Listeners are the agent's proxy. Run closes them when it ends; to call
	// it again they must be such as live on after that.
	Listeners []net.Listener
	// PipelockDoor is more of the same for the proxy's legacy address, where
	// GET /health in origin form is answered by ChildHealth.
	PipelockDoor []net.Listener
	// ChildHealth answers GET /health at PipelockDoor; nil = 404.
	ChildHealth http.Handler
	// RoutesPath is read by New and by every Reload.
	RoutesPath string
	// CACertPath and CAKeyPath are the PEM files of the authority the agent
	// trusts.
	CACertPath, CAKeyPath string
	// Tokens maps the names of routes' token variables to their values. A
	// route whose token is absent or empty refuses with credential-missing.
	Tokens map[string]string
	// NextHop is the proxy that everything goes through; nil = origins are
	// dialled directly.
	NextHop NextHop
	// UpstreamCAPath is a PEM file of roots trusted for origins beside the
	// system's; "" = none.
	UpstreamCAPath string
	// PipelockCAPath is the PEM file of pipelock's authority, trusted for hosts
	// with "pipelock: inspect" and only through NextHop; "" = none.
	PipelockCAPath string
	// GrantsPath keeps how often grants were used; "" = grants with uses are
	// refused.
	GrantsPath string
	// Scanner sees all that leaves and cleans all that is logged; nil finds
	// nothing.
	Scanner *secretscan.Scanner
	// OnFinding hears of each secret that was refused in a request to host,
	// which is always an exact name, and returns the id of the proposal to
	// clear it, "" = none; nil = nobody.
	OnFinding func(host string, f secretscan.Finding) (proposal string)
	// Audit hears every verdict; one it cannot keep is a refusal. nil keeps
	// none.
	Audit  *audit.Log
	Health *health.Role
	// Log is slog.DiscardHandler when nil.
	Log *slog.Logger
}

// Role is egress. Its methods are safe for concurrent use, but Run runs once
// at a time.
type Role struct {
	Config
	leaves *leaves
	trust  trust
	grants *grants
	spent  routes.Spent // of grants
	tokens *tokenScanners
	active active
	proxy  http.Handler // the CONNECT front
	// marker is the target of the requests that a wireConn puts in place of
	// broken ones; the agent cannot guess it.
	marker string

	reload  sync.Mutex // one Reload at a time
	live    atomic.Pointer[live]
	changes changes

	// inner1 and inner2 are tunnels on their way to the server behind TLS, of
	// HTTP/1.1 and of HTTP/2.
	inner1, inner2 chan net.Conn

	requests chan struct{} // holds one for each that is open

	// bodyIdle is the constant, lookup and dial are the system's; only this
	// package's tests replace them.
	bodyIdle time.Duration

	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// New reads the authority, the trusted roots, the spent grants and the routes.
// No error of it is curable by calling it again.
func New(c Config) (*Role, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	r := &Role{
		Config:   c,
		inner1:   make(chan net.Conn),
		inner2:   make(chan net.Conn),
		requests: make(chan struct{}, maxRequests),
		bodyIdle: bodyIdle,
		marker:   "/" + rand.Text(),
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
		dial: new(net.Dialer).DialContext,
	}
	r.proxy = newConnectFront(r)
	var err error
	if r.leaves, err = loadAuthority(c.CACertPath, c.CAKeyPath); err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	if r.trust, err = loadTrust(c.UpstreamCAPath, c.PipelockCAPath); err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	if r.grants, err = loadGrants(c.GrantsPath); err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	r.spent = r.grants.used
	if r.tokens, err = newTokenScanners(c.Tokens); err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	if err := r.Reload(); err != nil {
		return nil, err
	}
	return r, nil
}

// Reload puts the routes file in force. A file that is not valid changes
// nothing and is the error, which Health hears too. Streams and tunnels that
// the new routes do not allow are cut, all others live on.
//
// Either outcome is recorded. A valid file is put in force also when the audit
// log takes no record, because the routes before may have allowed more; until
// the change is recorded, no request is let through.
func (r *Role) Reload() error {
	r.reload.Lock()
	defer r.reload.Unlock()
	next, err := r.read()
	if err != nil {
		err = fmt.Errorf("egress: routes: %s", r.Scanner.Redact(err.Error()))
		r.Health.Refused(err)
		r.recordChange(r.live.Load(), err)
		if r.live.Load() != nil { // else the caller tells why nothing starts
			r.Log.Error("routes refused, the old ones stay in force", "error", err)
		}
		return err
	}
	old := r.live.Load()
	next.generation = r.Health.Generation() + 1
	if old != nil {
		next.generation = max(next.generation, old.generation+1)
	}
	r.recordChange(next, nil)
	r.live.Store(next)
	r.Health.InForce(next.table.SHA256())
	if old == nil {
		return nil
	}
	r.Log.Info("routes in force", "generation", next.generation, "sha256", next.table.SHA256())
	next.inherit(old.close())
	r.active.review(next)
	return nil
}

const (
	// maxRoutes bounds the routes file, in bytes.
	maxRoutes = 4 << 20
	// drain is how long requests in flight may go on once Run was told to stop.
	drain = 2 * time.Second
	// settle is how long what was cut then may take to end and be recorded.
	settle = time.Second
)

// Run serves until ctx ends, lets requests in flight finish for a moment, cuts
// the rest, and returns nil when the end of each is recorded. It may be called
// again after it returned, see Listeners.
func (r *Role) Run(ctx context.Context) error {
	r.active.begin()
	outer := r.server(r.serveProxy)
	inner1, inner2 := r.server1(r.serveTunnelled), r.server(r.serveTunnelled)
	failed := make(chan error, 1)
	var serving sync.WaitGroup
	serve := func(s server, l net.Listener) {
		serving.Go(func() {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				select {
				case failed <- fmt.Errorf("egress: %w", err):
				default:
				}
			}
		})
	}
	serve(inner1, newInnerListener(r.inner1))
	serve(inner2, newInnerListener(r.inner2))
	for _, l := range r.Listeners {
		serve(outer, &proxyListener{Listener: netutil.LimitListener(l, maxConnections), role: r})
	}
	for _, l := range r.PipelockDoor {
		serve(outer, &proxyListener{Listener: netutil.LimitListener(l, maxConnections), role: r, door: true})
	}
	r.Health.Set(health.Ready)
	tidy := time.NewTicker(tidyInterval)
	defer tidy.Stop()
	var err error
loop:
	for {
		select {
		case <-ctx.Done():
			break loop
		case err = <-failed:
			break loop
		case now := <-tidy.C:
			r.live.Load().tidy(now)
		}
	}
	stopping, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	servers := []server{outer, inner1, inner2}
	for _, s := range servers {
		_ = s.Shutdown(stopping) // what it leaves open is cut
	}
	r.active.stop("the bundle stops")
	for _, s := range servers {
		_ = s.Close()
	}
	serving.Wait()
	select {
	case <-r.active.left():
	case <-time.After(settle):
		r.Log.Warn("requests still end, their last records may be missing")
	}
	r.Health.Set(health.Stopped)
	return err
}

// readFile reads a file that should be small.
func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s is longer than %d bytes", path, most)
	}
	return b, err
}
