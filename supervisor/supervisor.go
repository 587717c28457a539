// Package supervisor runs roles, restarts those that die, and says with which
// code the process should end. It knows no role.
package supervisor

import (
	"context"
	"errors"
	"time"
)

// Role is something that runs until it is told to stop.
type Role struct {
	Name string
	// Run works until ctx ends and then returns. A return before that, and a
	// panic, is the role's death. It is called again after a back-off.
	Run func(ctx context.Context) error
}

// ExitError gives a role's death an exit code: a child's own, or 128+signal.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }
func (e *ExitError) Unwrap() error { return e.Err }

// ErrPermanent is matched by errors that no restart cures; the bundle ends
// with code 1 at once.
var ErrPermanent = errors.New("not curable by a restart")

// Permanent marks err as one that no restart cures.
func Permanent(err error) error { return errors.Join(ErrPermanent, err) }

// Config of Run.
type Config struct {
	Roles []Role
	// MaxCrashes deaths of one role within Window tear the bundle down; 0 =
	// the first death does.
	MaxCrashes int
	// Window is 30 s when 0; Grace, the time roles get to stop, 8 s when 0.
	Window, Grace time.Duration
	// OnDeath hears of each death before the back-off; nil = nobody.
	OnDeath func(role string, err error, restart bool)
}

// Run runs every role until ctx ends or one role has died too often, stops the
// others, and returns the exit code. It returns only when every role returned
// or the grace is over. Without roles it waits for ctx and returns 0.
func Run(ctx context.Context, c Config) int { panic("stub") }
