// Package plan turns a bottle file, an agent file and the operator's wishes
// into all that a backend needs. It is the one prepare step and names no
// backend.
//
// [Prepare] changes nothing on the disk; [Plan.Write] lays the bottle's folder
// out.
package plan

import (
	"github.com/claude-bottle/claude-bottle/agentenv"
	"github.com/claude-bottle/claude-bottle/state"
)

// Plan is one bottle, ready to be started. Everything secret is kept out of
// its JSON form, which is what reaches the disk.
type Plan struct {
	Slug   string `json:"slug"`
	Agent  string `json:"agent"`
	Bottle string `json:"bottle"`
	// Asked is the agent's name as the operator gave it; empty = none.
	Asked string `json:"asked,omitempty"`
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
	// PipelockBin and PipelockSHA256 are the host's binary and its digest, as
	// checked; empty when off. The binary is empty when the bundle brings it.
	PipelockBin    string `json:"pipelock_bin,omitempty"`
	PipelockSHA256 string `json:"pipelock_sha256,omitempty"`
	// Hosts is the host column of the routes, Repos the names of git-gate's
	// repositories, Env the names of the agent's variables.
	// RoutesSHA256 is of the routes that the bottle file gives, rendered.
	Hosts        []string `json:"hosts"`
	RoutesSHA256 string   `json:"routes_sha256"`
	Repos        []string `json:"repos"`
	Env          []string `json:"env"`
	// Supplied are those of Env whose values the operator gave now; nobody but
	// the agent may see these.
	Supplied []string `json:"supplied,omitempty"`
	// Credentials tells for each variable of Tokens the host variable that its
	// value came from.
	Credentials map[string]string `json:"credentials"`
	// TokenRoles tells for each of them the roles that authenticate with it. To
	// scan for it every role has it among Secrets.
	TokenRoles map[string][]string `json:"token_roles"`
	Limits     Limits              `json:"limits"`
	// Note is something that the operator must know before the start; may be
	// empty.
	Note string `json:"-"`

	// AgentEnv is the agent's environment, NAME=value, complete with proxy and
	// CA variables. It may hold values the operator supplied.
	AgentEnv []string `json:"-"`
	// AgentFiles are files to appear in the agent's world: path inside, content.
	AgentFiles []File `json:"-"`
	// Tokens are EGRESS_TOKEN_n and git tokens: bundle environment only.
	Tokens map[string]string `json:"-"`
	// Secrets are the values that must never leave (CLAUDE_BOTTLE_SECRETS), one
	// line each.
	Secrets []string `json:"-"`
	// OperatorHead is the head of the operator's audit chain when the bottle
	// starts, for the bundle's chain to name (CLAUDE_BOTTLE_OPERATOR_HEAD);
	// empty = none.
	OperatorHead string `json:"-"`
	// Inputs are the files of state/<slug>/in, their paths below it.
	Inputs []File `json:"-"`
}

// File is a file to be made.
type File = agentenv.File

// Limits of the agent's processes.
type Limits struct {
	Pids        int64 `json:"pids"`
	MemoryBytes int64 `json:"memory_bytes"`
}

// defaultLimits hold a build of a large project and stop a fork bomb.
var defaultLimits = Limits{Pids: 4096, MemoryBytes: 8 << 30}
