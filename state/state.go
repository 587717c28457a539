// Package state knows where things lie below the operator's home folder.
package state

import (
	"path/filepath"
)

// Home is $CLAUDE_BOTTLE_HOME, by default ~/.claude-bottle.
type Home string

// Bottles is the folder of bottle files, Agents that of agent files.
func (h Home) Bottles() string { return filepath.Join(string(h), "bottles") }
func (h Home) Agents() string  { return filepath.Join(string(h), "agents") }

// Skills is the folder of skills, one folder each.
func (h Home) Skills() string { return filepath.Join(string(h), "skills") }

// OperatorLog is the operator's audit chain.
func (h Home) OperatorLog() string { return filepath.Join(string(h), "audit", "operator.jsonl") }

// Dir is one bottle's folder, state/<slug>.
func (h Home) Dir(slug string) Dir { return Dir(filepath.Join(h.states(), slug)) }

func (h Home) states() string { return filepath.Join(string(h), "state") }

// Dir is one bottle's state folder.
type Dir string

// In is written by the operator and read by the bundle.
func (d Dir) In() string { return filepath.Join(string(d), "in") }

// Out is written by the bundle and read by the CLI as hostile input.
func (d Dir) Out() string { return filepath.Join(string(d), "out") }

// Run is the backend's own: its record of the running bottle, its sockets.
func (d Dir) Run() string { return filepath.Join(string(d), "run") }

// Slug is the bottle's slug.
func (d Dir) Slug() string { return filepath.Base(string(d)) }

// The files in In.
func (d Dir) Routes() string         { return filepath.Join(d.In(), "routes.yaml") }
func (d Dir) Pipelock() string       { return filepath.Join(d.In(), "pipelock.yaml") }
func (d Dir) CACert() string         { return filepath.Join(d.In(), "ca.pem") }
func (d Dir) CAKey() string          { return filepath.Join(d.In(), "ca-key.pem") }
func (d Dir) PipelockCACert() string { return filepath.Join(d.In(), "pipelock-ca.pem") }
func (d Dir) PipelockCAKey() string  { return filepath.Join(d.In(), "pipelock-ca-key.pem") }
func (d Dir) GitGate() string        { return filepath.Join(d.In(), "git-gate.yaml") }
func (d Dir) GitKeys() string        { return filepath.Join(d.In(), "keys") }
func (d Dir) Plan() string           { return filepath.Join(d.In(), "plan.json") }

// The files in Out.
func (d Dir) Queue() string     { return filepath.Join(d.Out(), "queue") }
func (d Dir) Audit() string     { return d.RoleAudit("bundle") }
func (d Dir) BundleLog() string { return filepath.Join(d.Out(), "bundle.log") }
func (d Dir) Health() string    { return filepath.Join(d.Out(), "health.sock") }

// LoneRoles are those that write an audit chain of their own, beside Audit, where
// they run in a bundle of their own.
var LoneRoles = []string{"git-gate", "pipelock", "supervise"}

// RoleAudit is such a role's chain, there or not.
func (d Dir) RoleAudit(role string) string { return filepath.Join(d.Out(), "audit", role+".jsonl") }
