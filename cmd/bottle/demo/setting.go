package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/state"
)

// bottleFile is the demo's bottle, %d the servers' port.
const bottleFile = `---
agent:
  command: [/bin/sh, /workspace/agent.sh]
egress:
  routes:
    - host: api.demo.test
      ports: [%[1]d]
      methods: [GET, POST]
      paths: [/v1]
      networks: [127.0.0.0/8]
      auth: {scheme: Bearer, token_ref: DEMO_API_TOKEN}
    - host: events.demo.test
      ports: [%[1]d]
      networks: [127.0.0.0/8]
      pipelock: passthrough
    - host: git.demo.test
      ports: [%[1]d]
      networks: [127.0.0.0/8]
      git: {fetch: true}
---
The bottle of "bottle demo".
`

// route is a route that the operator adds while the agent runs.
func (w *world) route(host string) routes.Route {
	return routes.Route{
		Host:     host,
		Ports:    []uint16{w.port},
		Methods:  []string{http.MethodGet, http.MethodHead},
		Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
}

func (w *world) writeBottle(home state.Home) error {
	if err := os.MkdirAll(home.Bottles(), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(home.Bottles(), "demo.md"), fmt.Appendf(nil, bottleFile, w.port), 0o600)
}

// writeWorkspace lays out what the agent finds: its script, and this program
// as its MCP client.
func writeWorkspace(dir, self string) error {
	program, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	return errors.Join(
		os.MkdirAll(dir, 0o700),
		os.WriteFile(filepath.Join(dir, "agent.sh"), agentScript, 0o700),
		os.WriteFile(filepath.Join(dir, "bottle"), program, 0o700),
	)
}

// environment sets what an operator would set in the shell before `bottle up`
// and returns what to tell about pipelock.
func (w *world) environment(standIn string) (note string, err error) {
	set := map[string]string{
		"DEMO_API_TOKEN":     w.token,
		"EGRESS_RESOLVER":    w.names.address(),
		"EGRESS_UPSTREAM_CA": w.caPath,
	}
	note = textNoChild
	if program, err := os.ReadFile(standIn); err == nil {
		if set["PIPELOCK_BIN"], err = w.writeStandIn(program); err != nil {
			return "", err
		}
		sum := sha256.Sum256(program)
		set["PIPELOCK_SHA256"] = hex.EncodeToString(sum[:])
		note = textStandIn
		if _, err := os.Stat(plan.PipelockBin); err == nil {
			note = textUnknown
		}
	}
	for name, value := range set {
		if err := os.Setenv(name, value); err != nil {
			return "", err
		}
	}
	return note, nil
}

// writeStandIn lays out the stand-in with a list of the demo's names beside
// it: it asks no name server.
func (w *world) writeStandIn(program []byte) (path string, err error) {
	path = filepath.Join(w.dir, "pipelock-standin")
	var hooks strings.Builder
	for _, name := range []string{"api", "events", "git", "docs", "new", "collector"} {
		fmt.Fprintf(&hooks, "host %s.demo.test 127.0.0.1\n", name)
	}
	return path, errors.Join(
		os.WriteFile(path, program, 0o700),
		os.WriteFile(path+".hooks", []byte(hooks.String()), 0o600),
	)
}
