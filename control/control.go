// Package control changes a live bottle: it writes, signals, confirms, and
// rolls back. Everything an operator decides goes through it.
//
// For makes an Operator for one bottle. Review shows a proposal, Approve, Modify
// and Reject decide it; Allow, Deny, EditHosts and SetRoutes are the operator's
// own changes; Grants and Revoke are about what was approved. Each method that
// changes something returns when the change is in force, or when all is as it
// was before, and says why.
//
// One change at a time is made on a bottle, whatever processes want one. What a
// killed process leaves half done, Recover completes or takes back.
package control

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/state"
)

// Bottle is what control sees of a live bottle; every backend.Bottle is one.
type Bottle interface {
	// ReadFile and WriteFile reach the bundle's input files, by the names of
	// state.Dir's In folder.
	ReadFile(ctx context.Context, name string) ([]byte, error)
	WriteFile(ctx context.Context, name string, content []byte) error
	// Signal passes a signal to the bundle's PID 1.
	Signal(ctx context.Context, sig os.Signal) error
	// Health is the bundle's /healthz document.
	Health(ctx context.Context) ([]byte, error)
}

// Options of For. Home and Slug are needed.
type Options struct {
	Home state.Home
	Slug string
	// Name is the operator's, for answers and the audit log; empty = the user's
	// who runs the program.
	Name string
	// Confirm is how long a role may take to put a change in force; 0 = 45 s.
	Confirm time.Duration
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Operator acts on one live bottle. It holds no state of its own, so many may
// act on one bottle, in one process or several.
type Operator struct {
	o      Options
	dir    state.Dir
	bottle Bottle

	// reached is told each point of a change where a process may be killed; the
	// package's tests set it.
	reached func(point string)
}

// For makes an operator of a live bottle. It touches nothing yet.
func For(b Bottle, o Options) *Operator {
	if o.Confirm <= 0 {
		o.Confirm = 45 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Name == "" {
		o.Name = userName()
	}
	return &Operator{o: o, dir: o.Home.Dir(o.Slug), bottle: b, reached: func(string) {}}
}

var (
	// ErrReview says that a proposal is not the one that was shown.
	ErrReview = errors.New("the proposal is not the one that was shown: look at it again")
	// ErrNotInForce says that an input file is not what the bundle runs on, so
	// that a change would put more in force than itself.
	ErrNotInForce = errors.New("the file is not what is in force")
	// ErrChanged says that what was edited was changed by somebody else
	// meanwhile.
	ErrChanged = errors.New("the routes were changed meanwhile")
	// ErrTerms says that what a proposal asks for cannot end by itself.
	ErrTerms = errors.New("it lasts for the session: only routes and pushes can be approved for a time or a number of requests")
	// ErrNothingToModify says that a kind of proposal is approved or rejected,
	// never modified.
	ErrNothingToModify = errors.New("only a proposal for a route can be modified")
	// ErrNoGrant says that nothing live goes by that name.
	ErrNoGrant = errors.New("no such grant")
)

// Terms are how long an approval lasts; the zero value is the session, which
// is until the bottle ends.
type Terms struct {
	// Uses is the number of forwarded requests it stands for; 0 = any.
	Uses int
	// For is how long it lasts from now; 0 = the session.
	For time.Duration
	// Notes are the operator's words to the agent; may be empty.
	Notes string
}

// Outcome tells what a change did.
type Outcome struct {
	// Diff is the difference of routes.yaml, unified; empty = nothing changed.
	Diff string
	// Generation of egress's table in force; 0 when no file was changed.
	Generation int
	// Response is the answer to the proposal; nil when there was none to answer.
	Response *proposal.Response
}
