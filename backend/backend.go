// Package backend says what a backend is: how a plan becomes a running bottle.
// Backends differ in nothing else.
package backend

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/claude-bottle/claude-bottle/plan"
)

// Backend isolates bottles.
type Backend interface {
	Name() string
	// Available is nil when a bottle can be started here; otherwise the error
	// says what is missing and what to do.
	Available(ctx context.Context) error
	// Start brings up the bundle, waits until it is ready, proves containment
	// from inside, and starts the agent's command. On an error nothing is left
	// running. When ctx ends the bottle is stopped. progress hears each step; one
	// that begins with "note: " is something the operator must know.
	Start(ctx context.Context, p *plan.Plan, s Stdio, progress func(step string)) (Bottle, error)
	// List tells every bottle of this backend, running or dead.
	List(ctx context.Context) ([]Status, error)
	// Open attaches to a bottle that another process started.
	Open(ctx context.Context, slug string) (Bottle, error)
	// Orphans are the things this backend made that no live bottle owns.
	Orphans(ctx context.Context) ([]Orphan, error)
	// Remove removes one of them.
	Remove(ctx context.Context, o Orphan) error
}

// Bottle is one running bottle.
type Bottle interface {
	// Wait returns the command's exit code when it has ended (128+signal when
	// killed) and everything of the bottle is gone.
	Wait(ctx context.Context) (code int, err error)
	// Exec runs a further command inside and returns its exit code.
	Exec(ctx context.Context, command []string, s Stdio) (code int, err error)
	// Attach joins the terminal of the agent's command: s.Out gets what it prints
	// from now on, s.In is typed to it, s.Resize sets its size. It returns the
	// command's exit code when that ends, and ctx's cause when the caller leaves,
	// which ends nothing. ErrNoTerminal when the command has none.
	Attach(ctx context.Context, s Stdio) (code int, err error)
	// Signal passes a signal to the bundle's PID 1.
	Signal(ctx context.Context, sig os.Signal) error
	// Health is the bundle's /healthz document.
	Health(ctx context.Context) ([]byte, error)
	// ReadFile and WriteFile reach the bundle's input files, by the names of
	// state.Dir's In folder ("routes.yaml").
	ReadFile(ctx context.Context, name string) ([]byte, error)
	WriteFile(ctx context.Context, name string, content []byte) error
	// Down stops everything of the bottle.
	Down(ctx context.Context) error
}

// ErrNoTerminal says that a bottle's agent was started without a terminal.
var ErrNoTerminal = errors.New("the agent has no terminal to attach to")

// CommandError says that a command could not be started inside. Code is what a
// shell would exit with: 127 when it is not there, 126 when it cannot be run.
type CommandError struct {
	Code int
	Err  error
}

func (e *CommandError) Error() string { return e.Err.Error() }
func (e *CommandError) Unwrap() error { return e.Err }

// Stdio is where a command's streams go; a nil In is empty, a nil Out or Err
// is thrown away. With Terminal set the command gets a terminal of its own
// inside, Out carries both streams, and Resize delivers window sizes; one that
// waits there when the command starts is its first. Out and Err are written to
// at the same time.
type Stdio struct {
	In       io.Reader
	Out, Err io.Writer
	Terminal bool
	Resize   <-chan Size
	// Signals are passed on to the command; nil = none.
	Signals <-chan os.Signal
}

// Size of a terminal in cells.
type Size struct{ Rows, Cols uint16 }

// Status is a bottle as `bottle ls` shows it.
type Status struct {
	Slug    string `json:"slug"`
	Backend string `json:"backend"`
	// State is "running", "starting", "dead", or "unknown" where who could tell
	// does not answer.
	State string `json:"state"`
	Agent string `json:"agent"`
	Since string `json:"since"`
}

// Orphan is something left behind by a bottle that died.
type Orphan struct {
	Slug string `json:"slug"`
	// Kind is "process", "state", "cgroup", …; Name is what the operator sees.
	Kind string `json:"kind"`
	Name string `json:"name"`
}
