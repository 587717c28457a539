// Package tui is the operator's full-screen view over all bottles: what waits
// for an answer, what exactly would change, and the keys that answer.
//
// Run shows it on what a Desk knows and does; Keep runs Run's process so that
// no end of it, however sudden, leaves the terminal unusable; Table is the same
// overview as plain text. The package decides nothing itself: it makes sure
// that what is decided is what was on the screen.
package tui

import (
	"context"
	"errors"
	"os/exec"
	"time"
)

// Desk is what the view needs of the rest. Its methods are called from many
// goroutines at once. Text in what it returns may be a stranger's: the view
// cleans it before it is shown.
type Desk interface {
	// Slugs lists the bottles that run.
	Slugs(ctx context.Context) ([]string, error)
	// Look returns what waits and what is granted in one bottle.
	Look(ctx context.Context, slug string) (Bottle, error)
	// Show returns all there is to know before one proposal is decided.
	Show(ctx context.Context, slug, id string) (Detail, error)
	// Preview tells what an approval would change, and changes nothing. An
	// error says why it cannot be applied.
	Preview(ctx context.Context, a Act) (Preview, error)
	// Apply puts an answer in force and returns one line that says what was
	// done. When the proposal's review is no longer Act.Review nothing happens
	// and the error matches ErrChanged.
	Apply(ctx context.Context, a Act) (told string, err error)
	// Revoke ends a grant and returns one line that says what was done.
	Revoke(ctx context.Context, slug, grant string) (told string, err error)
	// Edit prepares the operator's editor on a private copy of text.
	Edit(text []byte) (Editing, error)
}

// ErrChanged says that a proposal is no longer the one that was shown.
var ErrChanged = errors.New("the proposal changed after it was shown")

// Bottle is one bottle at a glance.
type Bottle struct {
	Slug    string
	Waiting []Item // oldest first
	Grants  []Grant
	// Problems are files of the queue that cannot be what they should be.
	Problems []string
	// Note says what else is wrong, "" for nothing.
	Note string
}

// Item is a proposal that waits for an answer.
type Item struct {
	ID      string
	Review  string // what Act.Review must be to decide it
	Kind    string
	Created time.Time
	Subject string // what it is about, in a few words; hosts in ASCII
}

// Grant is an approval in force, or one that ended and is still listed.
type Grant struct {
	ID      string
	Host    string
	Subject string    // what is granted, in a few words; hosts in ASCII
	Expires time.Time // zero: not by time
	Uses    int       // granted; 0: not counted
	Left    int       // of Uses; negative: not known
	Ended   bool
}

// Detail is a proposal with all that is needed to judge it.
type Detail struct {
	Item
	// Host in the form that is compared and dialled; "" when the kind has none.
	Host string
	// Rule is what an approval is of, one line each.
	Rule []string
	// Diff is the change of the live policy: lines that begin with "+", "-" or
	// a blank. Empty when an approval changes no file.
	Diff []string
	// Replay are recorded refusals that the rule would have let through.
	// ReplayNote says what else there is to say of them, or why there are none
	// to show; "" is nothing.
	Replay     []Refusal
	ReplayNote string
	// Words are the agent's. ByBundle says that they come from the bundle.
	Words    string
	ByBundle bool
	// Editable is the rule as an editor is given it; nil when it can only be
	// taken as it is.
	Editable []byte
	// Timed tells whether an approval may be limited in time or uses, and
	// Savable whether it may be written into the bottle file.
	Timed, Savable bool
}

// Refusal is one line of the replay.
type Refusal struct {
	Count  int
	Method string
	Host   string
	Path   string
	Rule   string // why it was refused
	// Named tells whether the agent's request names it.
	Named bool
}

// Verdict is what is done with a proposal.
type Verdict int

// The verdicts. The zero Verdict is none.
const (
	Approve Verdict = iota + 1
	Modify
	Reject
)

// Term is how long an approval holds; the zero Term is the bottle's life.
type Term struct {
	Once bool
	For  time.Duration // 0: no end by time
	Save bool          // also in the bottle file, for bottles to come
}

// Act is one answer to exactly one shown proposal.
type Act struct {
	Slug, ID, Review string
	Verdict          Verdict
	Rule             []byte // Modify: the edited rule
	Term             Term   // Approve, Modify
	Reason           string // Reject
}

// Preview is what an approval would do.
type Preview struct {
	Host string // in ASCII; "" when the kind has none
	// Rule is what would be in force, one line each.
	Rule []string
	Diff []string // of the live policy, as in Detail
	// SavePath and SaveDiff are the bottle file and its change, when Term.Save.
	SavePath string
	SaveDiff []string
}

// Editing is one use of the operator's editor.
type Editing struct {
	Command *exec.Cmd
	// Read returns what was saved, Done removes the copy.
	Read func() ([]byte, error)
	Done func() error
}
