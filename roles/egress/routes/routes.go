// Package routes is egress's configuration: the routes file, and the decision
// on a host and on a request.
package routes

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/policy"
)

// Route is one allowed destination, as written in routes.yaml.
type Route struct {
	Host          string         `yaml:"host"`
	Ports         []uint16       `yaml:"ports,omitempty"`
	Methods       []string       `yaml:"methods,omitempty"`
	Paths         []string       `yaml:"paths,omitempty"`
	PathAllowlist []string       `yaml:"path_allowlist,omitempty"`
	Auth          *Auth          `yaml:"auth,omitempty"`
	AgentAuth     bool           `yaml:"agent_auth,omitempty"`
	WebSocket     bool           `yaml:"websocket,omitempty"`
	Networks      []netip.Prefix `yaml:"networks,omitempty"`
	Git           Git            `yaml:"git,omitempty"`
	Pipelock      string         `yaml:"pipelock,omitempty"`
	Findings      []Finding      `yaml:"findings,omitempty"`
	Grant         string         `yaml:"grant,omitempty"`
	Expires       time.Time      `yaml:"expires,omitempty"`
	Uses          int            `yaml:"uses,omitempty"`
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
	Fetch    bool `yaml:"fetch,omitempty"`
	APIWrite bool `yaml:"api_write,omitempty"`
}

// Finding is a scanner's finding that the operator cleared for this host.
type Finding struct {
	Rule        string `yaml:"rule"`
	Fingerprint string `yaml:"fingerprint"`
}

// Table is a parsed, valid, immutable routes file.
type Table struct{ routes []Route }

// Parse reads and validates a routes file. Unknown keys are errors; every
// error names its line.
func Parse(b []byte) (*Table, error) { panic("stub") }

// New builds a table from routes, validating as Parse does.
func New(routes []Route) (*Table, error) { panic("stub") }

// Render writes the table in its canonical YAML; Parse(Render()) is the same
// table.
func (t *Table) Render() []byte { panic("stub") }

// Routes returns a copy of the routes in file order.
func (t *Table) Routes() []Route { panic("stub") }

// Hosts returns the host column: each host once, in file order.
func (t *Table) Hosts() []string { panic("stub") }

// SHA256 is the hex digest of the bytes that were parsed (of Render's after
// New).
func (t *Table) SHA256() string { panic("stub") }

// Request is what the agent asks for, as far as a decision needs it.
type Request struct {
	Authority canon.Authority
	Method    string
	Path      canon.Path
	// RawQuery is needed for git's service=… and credential queries.
	RawQuery string
	// Plain: the request came as plain HTTP (absolute form, port 80).
	Plain bool
	// WebSocket: the request asks to be upgraded to a WebSocket.
	WebSocket bool
}

// Spent says how many requests a grant has already forwarded. A nil Spent
// means none.
type Spent func(grant string) int

// Authority decides on host and port alone, as on a CONNECT (plain false) or
// an absolute form (plain true): ip-literal, no-route, grant-expired, port.
// Port 80 is plain HTTP only, and plain HTTP is port 80 only.
func (t *Table) Authority(a canon.Authority, plain bool, now time.Time, spent Spent) policy.Decision {
	panic("stub")
}

// Decide decides on a whole request and returns the route in force, nil when
// refused. Several routes may name one host: in file order, the first that
// fits in everything decides; a refusal tells the rule of the route that came
// furthest.
func (t *Table) Decide(r Request, now time.Time, spent Spent) (*Route, policy.Decision) {
	panic("stub")
}

// IsGraphQL reports whether requests to the path are GraphQL, so that a POST
// needs GraphQLWrite's word too, unless the route allows API writes.
func IsGraphQL(p canon.Path) bool { panic("stub") }

// GraphQLWrite reports whether a request to a GraphQL path may change
// anything: true unless header and body are those of a JSON request whose
// every operation is known to be a query or subscription.
func GraphQLWrite(h http.Header, body []byte) bool { panic("stub") }

// JSON is what http://_egress.local/allowlist answers: the table without
// names of tokens, with the generation it is in force as.
func (t *Table) JSON(generation int) []byte { panic("stub") }

// AddHosts returns src with a default route for each host that no lasting
// route names yet; comments and order of the rest stay. Host may be a pattern.
func AddHosts(src []byte, hosts ...string) ([]byte, error) { panic("stub") }

// RemoveHosts returns src without the routes of the hosts, grants included.
// A host without route is an error.
func RemoveHosts(src []byte, hosts ...string) ([]byte, error) { panic("stub") }

// SetHosts makes hosts the host column: routes of other hosts go, a default
// route for each new one is appended.
func SetHosts(src []byte, hosts []string) ([]byte, error) { panic("stub") }

// Append returns src with one more route at its end.
func Append(src []byte, r Route) ([]byte, error) { panic("stub") }

// RemoveGrant returns src without the routes of one grant.
func RemoveGrant(src []byte, grant string) ([]byte, error) { panic("stub") }

// ParseHostList reads one host or pattern a line, with # comments; it returns
// each once, canonical, in order. Errors name their line.
func ParseHostList(b []byte) ([]string, error) { panic("stub") }
