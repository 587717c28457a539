// Package supervisor runs roles, restarts those that die, and says with which
// code the process should end. It knows no role.
//
// Most callers need Run alone. A process that can be PID 1 also runs a Reaper
// and starts every child through it.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Role is something that runs until it is told to stop.
type Role struct {
	Name string
	// Run works until ctx ends and then returns; what it returns then does
	// not matter. A return before that, and a panic, is the role's death. It
	// is called again after a back-off, never before the last call returned.
	Run func(ctx context.Context) error
}

// ExitError gives a role's death an exit code: a child's own, or 128+signal.
type ExitError struct {
	// Code 0 counts as 1: no death that nobody asked for is a success.
	Code int
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }
func (e *ExitError) Unwrap() error { return e.Err }

// PanicError is the death of a role that panicked.
type PanicError struct {
	Value any
	// Stack is where it panicked, for a log.
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// ErrPermanent is matched by errors that no restart cures; the bundle ends
// with code 1 at once.
var ErrPermanent = errors.New("not curable by a restart")

// Permanent marks err as one that no restart cures. Its text stays as it is;
// nil stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ error }

func (e *permanentError) Unwrap() error        { return e.error }
func (e *permanentError) Is(target error) bool { return target == ErrPermanent }

// Config of Run.
type Config struct {
	Roles []Role
	// MaxCrashes deaths of one role within Window tear the bundle down; 0 =
	// the first death does.
	MaxCrashes int
	// Window is 30 s when 0; Grace, the time roles get to stop, 8 s when 0.
	Window, Grace time.Duration
	// OnDeath hears of each death before the back-off, one at a time; nil =
	// nobody.
	OnDeath func(role string, err error, restart bool)
	// OnStuck hears of each role that did not return within Grace; nil =
	// nobody.
	OnStuck func(role string)
}

// The defaults of Config.
const (
	defaultWindow = 30 * time.Second
	defaultGrace  = 8 * time.Second
)

// code is the exit code that a death stands for.
func code(err error) int {
	var exit *ExitError
	if errors.Is(err, ErrPermanent) || !errors.As(err, &exit) || exit.Code == 0 {
		return 1
	}
	return exit.Code
}
