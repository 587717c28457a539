//go:build linux

package namespace

import (
	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/containment"
	"github.com/claude-bottle/claude-bottle/plan"
)

// world is what the init builds: the first message it gets. With a workspace
// that only the host's root can map, its mount comes along as a file.
type world struct {
	Slug string
	// Workspace is the folder on the host; empty when the mount came along.
	Workspace string
	// Listeners are the roles' ports on the bottle's loopback, by role.
	Listeners map[string]int
	Files     []plan.File
	// TmpfsBytes bounds each of the agent's folders in memory.
	TmpfsBytes int64
	// DropGroups is set where the kernel lets the init give up the operator's
	// supplementary groups, which it does for root.
	DropGroups bool
}

// request is what `bottle up` tells the init after that. One field is set.
type request struct {
	Prove *containment.Targets `json:",omitempty"`
	Run   *command             `json:",omitempty"`
	Kill  *signal              `json:",omitempty"`
}

// command to be run; ID names it from then on.
type command struct {
	ID       int
	Argv     []string
	Env      []string
	Dir      string
	Terminal bool
	Size     backend.Size
	// Limits are for where no control group holds the bottle; 0 = none.
	Limits plan.Limits
}

// signal for a command's process group.
type signal struct {
	ID     int
	Signal int
}

// event is what the init says. One field is set. Every word of it may be the
// agent's.
type event struct {
	// Listening: the listeners come along, in the order of the names.
	Listening []string `json:",omitempty"`
	// Ready: the world is built and given up.
	Ready bool `json:",omitempty"`
	// Failed ends everything.
	Failed string              `json:",omitempty"`
	Proof  *containment.Report `json:",omitempty"`
	// Started: the command's streams come along, the terminal's master or
	// stdin, stdout, stderr; or Error says why not, with the exit code that a
	// shell would give.
	Started *started `json:",omitempty"`
	Exited  *exited  `json:",omitempty"`
}

type started struct {
	ID    int
	Error string `json:",omitempty"`
	Code  int    `json:",omitempty"`
}

type exited struct {
	ID   int
	Code int
}
