// Package routes is egress's configuration: the routes file, and the decision
// on a host and on a request.
package routes

import (
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

// Authority decides on host and port alone, as on a CONNECT: no-route,
// grant-expired, ip-literal, port.
func (t *Table) Authority(a canon.Authority, now time.Time) policy.Decision { panic("stub") }

// Decide decides on a whole request and returns the route in force, nil when
// refused. Several routes may name one host: the first whose ports, methods
// and paths fit decides; a refusal tells the rule of the route that came
// furthest.
func (t *Table) Decide(r Request, now time.Time) (*Route, policy.Decision) { panic("stub") }
