// Package plan turns a bottle file, an agent file and the operator's wishes
// into all that a backend needs. It is the one prepare step and names no
// backend.
package plan

import (
	"github.com/claude-bottle/claude-bottle/state"
)

// Plan is one bottle, ready to be started. Everything secret is kept out of
// its JSON form, which is what reaches the disk.
type Plan struct {
	Slug   string `json:"slug"`
	Agent  string `json:"agent"`
	Bottle string `json:"bottle"`
	// Backend is the bottle file's wish; empty = none.
	Backend string `json:"backend,omitempty"`
	// State is the bottle's folder on the host.
	State state.Dir `json:"state"`
	// Workspace is the host folder that appears at /workspace.
	Workspace string   `json:"workspace"`
	Command   []string `json:"command"`
	// Image and Dockerfile are for backends that run images; may be empty.
	Image      string `json:"image,omitempty"`
	Dockerfile string `json:"dockerfile,omitempty"`
	// Daemons are the selected roles.
	Daemons []string `json:"daemons"`
	// Pipelock is "on" or "off", and PipelockNote what the preflight says.
	Pipelock     string `json:"pipelock"`
	PipelockNote string `json:"pipelock_note,omitempty"`
	// AgentEnv is the agent's environment, NAME=value, complete with proxy and
	// CA variables. It may hold values the operator supplied.
	AgentEnv []string `json:"-"`
	// AgentFiles are files to appear in the agent's world: path inside, content.
	AgentFiles []File `json:"-"`
	// Tokens are EGRESS_TOKEN_n and git tokens: bundle environment only.
	Tokens map[string]string `json:"-"`
	// Secrets are the values that must never leave (CLAUDE_BOTTLE_SECRETS).
	Secrets []string `json:"-"`
	// Inputs are the files of state/<slug>/in.
	Inputs []File `json:"-"`
	Limits Limits `json:"limits"`
}

// File is a file to be made.
type File struct {
	Path    string
	Mode    uint32
	Content []byte
}

// Limits of the agent's processes.
type Limits struct {
	Pids        int64 `json:"pids"`
	MemoryBytes int64 `json:"memory_bytes"`
}
