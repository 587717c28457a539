package routes

import (
	"encoding/json"
	"slices"
	"time"

	yaml "go.yaml.in/yaml/v4"
)

// Render writes the table in its canonical YAML, defaults left out;
// Parse(Render()) is the same table.
func (t *Table) Render() []byte {
	f := file{Routes: []Route{}}
	for _, r := range t.rules {
		f.Routes = append(f.Routes, r.withoutDefaults())
	}
	b, err := yaml.Dump(f, yaml.WithIndent(2))
	if err != nil {
		panic(err) // a file of plain values always has a YAML form
	}
	return b
}

// withoutDefaults is the route as a person would write it.
func (r Route) withoutDefaults() Route {
	r = r.clone()
	if slices.Equal(r.Ports, []uint16{443}) {
		r.Ports = nil
	}
	if r.Pipelock == Inspect {
		r.Pipelock = ""
	}
	if r.Auth != nil && r.Auth.Header == "Authorization" {
		r.Auth.Header = ""
	}
	return r
}

// JSON is what http://_egress.local/allowlist answers: the table, with the
// generation it is in force as; of a credential only that one is injected.
func (t *Table) JSON(generation int) []byte {
	type route struct {
		Host      string     `json:"host"`
		Ports     []uint16   `json:"ports"`
		Methods   []string   `json:"methods,omitempty"`
		Paths     []string   `json:"paths,omitempty"`
		Auth      bool       `json:"auth"`
		AgentAuth bool       `json:"agent_auth"`
		WebSocket bool       `json:"websocket"`
		Slash     bool       `json:"encoded_slash,omitempty"`
		GitFetch  bool       `json:"git_fetch"`
		APIWrite  bool       `json:"git_api_write"`
		Grant     string     `json:"grant,omitempty"`
		Expires   *time.Time `json:"expires,omitempty"`
		Uses      int        `json:"uses,omitempty"`
	}
	routes := make([]route, 0, len(t.rules))
	for _, r := range t.rules {
		shown := route{
			Host: r.Host, Ports: r.Ports, Methods: r.Methods, Paths: r.Paths,
			Auth: r.Auth != nil, AgentAuth: r.AgentAuth, WebSocket: r.WebSocket, Slash: r.EncodedSlash,
			GitFetch: r.Git.Fetch, APIWrite: r.Git.APIWrite, Grant: r.Grant, Uses: r.Uses,
		}
		if !r.Expires.IsZero() {
			shown.Expires = &r.Expires
		}
		routes = append(routes, shown)
	}
	b, err := json.Marshal(struct {
		Generation int     `json:"generation"`
		SHA256     string  `json:"config_sha256"`
		Routes     []route `json:"routes"`
	}{generation, t.sha256, routes})
	if err != nil {
		panic(err) // plain values always marshal
	}
	return append(b, '\n')
}
