package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/plan"
)

// runForeground runs a bottle on this process's streams and returns the
// command's exit code.
func runForeground(ctx context.Context, b backend.Backend, p *plan.Plan) (int, error) {
	sayPreflight(p, b.Name())
	c := upConsole()
	defer c.restore()
	bottle, err := startInterruptibly(ctx, b, p, c.streams)
	if err != nil {
		return 0, err
	}
	if err := c.raw(); err != nil {
		return 0, errors.Join(err, bottle.Down(ctx))
	}
	tellStarted(nil)
	return bottle.Wait(ctx)
}

// upConsole is where the agent's streams go.
func upConsole() *console {
	if isDetached() {
		return detachedConsole()
	}
	return newConsole()
}

// interruption is the signal that ended a start.
type interruption struct{ signal os.Signal }

func (i interruption) Error() string { return interruptedText(i.signal) }

// startInterruptibly starts a bottle; until its command runs, a signal that
// would reach the command ends the start instead, with the exit code of a
// program that dies of it.
func startInterruptibly(ctx context.Context, b backend.Backend, p *plan.Plan, streams backend.Stdio) (backend.Bottle, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := streams.Signals
	toCommand := make(chan os.Signal, cap(signals))
	streams.Signals = toCommand
	started := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				select {
				case <-started:
					toCommand <- s
				default:
					cancel(interruption{s})
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	progress := &progress{}
	bottle, err := b.Start(ctx, p, streams, progress.step)
	progress.end()
	if i, ok := errors.AsType[interruption](context.Cause(ctx)); ok && err != nil {
		say("%v", i)
		tellStarted(i)
		number, _ := i.signal.(syscall.Signal)
		return nil, exitCode(128 + int(number))
	}
	if err != nil {
		cancel(err)
		return nil, err
	}
	close(started)
	return bottle, nil
}

// progress tells of each step that lasts.
type progress struct{ timer *time.Timer }

// slow is how long a step may last before it is told.
const slow = time.Second

func (p *progress) step(name string) {
	p.end()
	if sayAtOnce(name) {
		return
	}
	p.timer = time.AfterFunc(slow, func() { sayStep(name) })
}

func (p *progress) end() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
