package docker

import (
	"context"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/claude-bottle/claude-bottle/backend"
)

// Attach implements backend.Bottle.
func (r *remote) Attach(ctx context.Context, s backend.Stdio) (int, error) {
	name := agentContainer(r.slug)
	state, err := r.api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return 1, fmt.Errorf("attach to %s: %w", r.slug, err)
	}
	if state.Container.Config == nil || !state.Container.Config.Tty {
		return 1, backend.ErrNoTerminal
	}
	attached, err := r.api.ContainerAttach(ctx, name, client.ContainerAttachOptions{
		Stream: true, Stdin: s.In != nil, Stdout: true, Stderr: true, DetachKeys: detachKeys,
	})
	if err != nil {
		return 1, fmt.Errorf("attach to %s: %w", r.slug, err)
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := r.api.ContainerWait(waiting, name, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	s.Terminal = true
	p := startPump(attached.HijackedResponse, s, r.resize, nil)
	select {
	case result := <-ended.Result:
		p.finish()
		return int(result.StatusCode), nil
	case err := <-ended.Error:
		p.close()
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return 1, fmt.Errorf("the engine no longer tells of %s: %w", r.slug, err)
	}
}

// resize sets the size of the agent's terminal.
func (r *remote) resize(size backend.Size) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, _ = r.api.ContainerResize(ctx, agentContainer(r.slug), client.ContainerResizeOptions{Height: uint(size.Rows), Width: uint(size.Cols)})
}
