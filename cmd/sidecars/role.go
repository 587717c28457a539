package main

import (
	"context"
	"os"
	"runtime/debug"

	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/supervisor"
)

// role is a built role and what the bundle does around its run loop.
type role struct {
	name      string
	run       func(context.Context) error
	listeners []*lasting
	// reload answers SIGHUP; nil = not at all.
	reload func()
	// replace answers SIGUSR1; nil = not at all.
	replace func()
}

// supervised is the run loop that the supervisor may call again and again.
func (r role) supervised(b *bundle) func(context.Context) error {
	return func(ctx context.Context) error {
		report := b.health.Role(r.name)
		report.Set(health.Starting)
		defer func() {
			if ctx.Err() != nil {
				report.Set(health.Stopped)
			} else {
				report.Set(health.Failed)
			}
		}()
		for _, l := range r.listeners {
			l.revive()
			defer l.Close() // a role that panicked has not done it
			defer context.AfterFunc(ctx, l.finish)()
		}
		return r.obeying(ctx, b)
	}
}

// obeying runs the role while signals reach it. A panic in an answer to a
// signal is the role's death as well.
func (r role) obeying(ctx context.Context, b *bundle) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	panicked := make(chan error, 1)
	go func() {
		defer func() {
			if value := recover(); value != nil {
				panicked <- &supervisor.PanicError{Value: value, Stack: debug.Stack()}
				cancel()
			}
		}()
		r.obey(ctx, b)
	}()
	err := r.run(ctx)
	select {
	case err = <-panicked:
	default:
	}
	return err
}

// obey answers signals until ctx ends.
func (r role) obey(ctx context.Context, b *bundle) {
	var reload, replace <-chan os.Signal
	if r.reload != nil {
		reload = b.reload
	}
	if r.replace != nil {
		replace = b.replace
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-reload:
			if ctx.Err() != nil {
				return
			}
			r.reload()
		case <-replace:
			if ctx.Err() != nil {
				return
			}
			r.replace()
		}
	}
}
