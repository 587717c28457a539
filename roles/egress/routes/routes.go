// Package routes is egress's configuration: the routes file, its edits, and
// the decision on a host and on a request.
//
// Parse a file to get a Table; ask its Authority on a CONNECT and its Decide
// on each request. A Table never changes: an edit makes new bytes, which are
// parsed anew.
package routes

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/claude-bottle/claude-bottle/canon"
)

// The values of Route.Pipelock.
const (
	// Inspect has pipelock read the traffic.
	Inspect = "inspect"
	// Passthrough has pipelock check the host alone.
	Passthrough = "passthrough"
)

// Self is the host by which egress answers for itself; no route may name it.
const Self = "_egress.local"

// Route is one allowed destination, as written in routes.yaml. In a Table
// every Route is canonical: Host, Ports, Pipelock and Auth.Header are set,
// PathAllowlist is moved to Paths.
type Route struct {
	// Host is an exact name, an IP literal, or a pattern *.example.com, which
	// stands for one or more labels before the rest and never for the rest
	// itself.
	Host string `yaml:"host"`
	// Ports empty means 443.
	Ports []uint16 `yaml:"ports,omitempty"`
	// Methods empty means all but TRACE and CONNECT, which nobody may list.
	Methods []string `yaml:"methods,omitempty"`
	// Paths empty means all; else a request must lie under one of them.
	Paths []string `yaml:"paths,omitempty"`
	// PathAllowlist is another name for Paths.
	PathAllowlist []string `yaml:"path_allowlist,omitempty"`
	// Auth nil means that nothing is injected.
	Auth *Auth `yaml:"auth,omitempty"`
	// AgentAuth lets the agent's own credentials through.
	AgentAuth bool `yaml:"agent_auth,omitempty"`
	WebSocket bool `yaml:"websocket,omitempty"`
	// EncodedSlash says that the server reads "%2f" in a path as a slash, as
	// npm's registries do. It is decided on as one and forwarded as it came.
	EncodedSlash bool `yaml:"encoded_slash,omitempty"`
	// Networks are the ranges outside the public internet that Host may
	// resolve to.
	Networks []netip.Prefix `yaml:"networks,omitempty"`
	Git      Git            `yaml:"git,omitempty"`
	// Pipelock empty means Inspect.
	Pipelock string    `yaml:"pipelock,omitempty"`
	Findings []Finding `yaml:"findings,omitempty"`
	// Grant is the id of the proposal that the route was approved for; only
	// with it come Expires, from when on the route is void (zero: never), and
	// Uses, the number of requests it stands for (zero: any).
	Grant   string    `yaml:"grant,omitempty"`
	Expires time.Time `yaml:"expires,omitempty"`
	Uses    int       `yaml:"uses,omitempty"`
}

// Auth is the credential that egress injects.
type Auth struct {
	Scheme   string `yaml:"scheme,omitempty"`
	TokenEnv string `yaml:"token_env"`
	// Header is "Authorization" when empty.
	Header string `yaml:"header,omitempty"`
}

// Git says which git calls over HTTPS the route lets through.
type Git struct {
	// Fetch lets a whole fetch through, its POST also where Methods has none.
	Fetch    bool `yaml:"fetch,omitempty"`
	APIWrite bool `yaml:"api_write,omitempty"`
}

// Finding is a scanner's finding that the operator cleared. Its fingerprint is
// for one exact host, also on a pattern's route.
type Finding struct {
	Rule        string `yaml:"rule"`
	Fingerprint string `yaml:"fingerprint"`
}

// Table is a parsed, valid, immutable routes file.
type Table struct {
	rules  []rule
	exact  map[string][]int // host → indices of rules, in file order
	under  map[string][]int // what follows "*." of a pattern → the same
	sha256 string
}

// rule is a route with what deciding needs in comparable form.
type rule struct {
	Route
	paths []canon.Path
}

// New builds a table from routes, validating as Parse does. It keeps nothing
// of the slice.
func New(routes []Route) (*Table, error) {
	t, err := build(routes)
	if err != nil {
		return nil, err
	}
	t.sha256 = digest(t.Render())
	return t, nil
}

// build makes a table without digest. Its error wraps a fieldError.
func build(routes []Route) (*Table, error) {
	if len(routes) > maxRoutes {
		return nil, fmt.Errorf("%d routes are too many: the limit is %d", len(routes), maxRoutes)
	}
	t := &Table{exact: make(map[string][]int), under: make(map[string][]int)}
	for i, route := range routes {
		r, err := compile(route)
		if err != nil {
			return nil, &routeError{index: i, host: route.Host, err: err}
		}
		t.rules = append(t.rules, r)
		if base, ok := patternBase(r.Host); ok {
			t.under[base] = append(t.under[base], i)
		} else {
			t.exact[r.Host] = append(t.exact[r.Host], i)
		}
	}
	return t, nil
}

// Routes returns a copy of the routes in file order.
func (t *Table) Routes() []Route {
	routes := make([]Route, len(t.rules))
	for i, r := range t.rules {
		routes[i] = r.clone()
	}
	return routes
}

// Hosts returns the host column: each host once, in file order.
func (t *Table) Hosts() []string {
	hosts := make([]string, 0, len(t.rules))
	for _, r := range t.rules {
		if !slices.Contains(hosts, r.Host) {
			hosts = append(hosts, r.Host)
		}
	}
	return hosts
}

// SHA256 is the hex digest of the bytes that were parsed (of Render's after
// New).
func (t *Table) SHA256() string { return t.sha256 }

func (r Route) clone() Route {
	r.Ports = slices.Clone(r.Ports)
	r.Methods = slices.Clone(r.Methods)
	r.Paths = slices.Clone(r.Paths)
	r.PathAllowlist = slices.Clone(r.PathAllowlist)
	r.Networks = slices.Clone(r.Networks)
	r.Findings = slices.Clone(r.Findings)
	if r.Auth != nil {
		auth := *r.Auth
		r.Auth = &auth
	}
	return r
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
