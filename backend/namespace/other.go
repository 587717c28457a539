//go:build !linux

package namespace

import (
	"context"
	"errors"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/plan"
)

// Main does nothing: no bottle of this backend runs here.
func Main() {}

// New returns a backend that is never available.
func New(Options) backend.Backend { return unavailable{} }

var errNotLinux = errors.New("the namespace backend needs Linux; use the docker backend here")

type unavailable struct{}

func (unavailable) Name() string                    { return Name }
func (unavailable) Available(context.Context) error { return errNotLinux }
func (unavailable) Start(context.Context, *plan.Plan, backend.Stdio, func(string)) (backend.Bottle, error) {
	return nil, errNotLinux
}
func (unavailable) List(context.Context) ([]backend.Status, error)       { return nil, nil }
func (unavailable) Open(context.Context, string) (backend.Bottle, error) { return nil, errNotLinux }
func (unavailable) Orphans(context.Context) ([]backend.Orphan, error)    { return nil, nil }
func (unavailable) Remove(context.Context, backend.Orphan) error         { return errNotLinux }
