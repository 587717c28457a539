package docker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// How long the agent and the bundle have to end by themselves at Down, in
// seconds. The bundle's own grace is 8.
const (
	agentGrace  = 2
	bundleGrace = 10
)

// bottle is a running bottle in the process that started it.
type bottle struct {
	remote
	workspace string
	keeper    *keeper
	pump      *pump

	stopOnce sync.Once
	stopping chan struct{}
	done     chan struct{} // closed when everything is gone
	code     int           // and err are set before done is closed
	err      error
}

func newBottle(s *start) *bottle {
	return &bottle{
		remote:    remote{api: s.api, backend: s.backend, slug: s.plan.Slug, dir: s.plan.State, services: serviceNames(s.layout)},
		workspace: s.workspace, keeper: s.keeper,
		stopping: make(chan struct{}), done: make(chan struct{}),
	}
}

func (b *bottle) stop() { b.stopOnce.Do(func() { close(b.stopping) }) }

// live waits for the bottle's end, whatever ends it, and tears it down.
func (b *bottle) live(exited client.ContainerWaitResult) {
	defer close(b.done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	bundleGone := make(chan error, len(b.services))
	for _, name := range b.services {
		go followLog(ctx, b.api, name, b.dir.BundleLog())
		go func() {
			if err := b.watchService(ctx, name); err != nil {
				bundleGone <- err
			}
		}()
	}
	select {
	case result := <-exited.Result:
		b.code = int(result.StatusCode)
	case err := <-exited.Error:
		b.code, b.err = b.lateCode(ctx, err)
	case err := <-bundleGone:
		b.code, b.err = 1, err
	case <-b.stopping:
		b.code = b.endAgent(ctx, exited)
	}
	b.pump.finish()
	if err := removeAll(ctx, b.api, b.backend.options.Home, b.dir, b.workspace); err != nil {
		b.err = errors.Join(b.err, fmt.Errorf("`bottle cleanup` may remove it later: %w", err))
	}
	b.keeper.release()
}

// endAgent asks the agent to end and returns its exit code.
func (b *bottle) endAgent(ctx context.Context, exited client.ContainerWaitResult) int {
	_ = stopContainer(ctx, b.api, agentContainer(b.slug), agentGrace)
	select {
	case result := <-exited.Result:
		return int(result.StatusCode)
	case <-exited.Error:
	case <-time.After(agentGrace * time.Second):
	}
	return 128 + int(syscall.SIGKILL)
}

// lateCode finds the exit code when the connection that waits for it broke.
func (b *bottle) lateCode(ctx context.Context, err error) (int, error) {
	for range 50 {
		state, inspectErr := b.api.ContainerInspect(ctx, agentContainer(b.slug), client.ContainerInspectOptions{})
		switch {
		case gone(inspectErr) == nil && inspectErr != nil:
			return 128 + int(syscall.SIGKILL), nil // `bottle down` has removed it
		case inspectErr == nil && state.Container.State != nil && !state.Container.State.Running:
			return state.Container.State.ExitCode, nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return 128 + int(syscall.SIGKILL), fmt.Errorf("the engine no longer answers: %w", err)
}

// watchService returns an error when a container of the bundle is dead and the
// engine has given up starting it again, and nil when it was removed.
func (b *bottle) watchService(ctx context.Context, name string) error {
	const pause = 500 * time.Millisecond
	for dead := 0; ; {
		wait := b.api.ContainerWait(ctx, name, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
		select {
		case <-wait.Result:
		case <-wait.Error:
		case <-ctx.Done():
			return nil
		}
		time.Sleep(pause)
		state, err := b.api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && gone(err) == nil:
			return nil // somebody removes the bottle; the agent's end tells the rest
		case err == nil && state.Container.State != nil && (state.Container.State.Running || state.Container.State.Restarting):
			dead = 0
		default:
			dead++
		}
		if dead > 3 {
			said, _ := logs(ctx, b.api, name, "1")
			return fmt.Errorf("the bundle (%s) died and stays dead; it said last: %s", name, said)
		}
	}
}

// Wait implements backend.Bottle.
func (b *bottle) Wait(ctx context.Context) (int, error) {
	select {
	case <-b.done:
		return b.code, b.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// Down implements backend.Bottle.
func (b *bottle) Down(ctx context.Context) error {
	b.stop()
	_, err := b.Wait(ctx)
	return err
}

// stopContainer ends a container in order, or by force after the grace.
func stopContainer(ctx context.Context, api *client.Client, name string, seconds int) error {
	_, err := api.ContainerStop(ctx, name, client.ContainerStopOptions{Timeout: &seconds})
	return gone(err)
}
