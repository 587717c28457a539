package docker

import (
	"context"
	"sync"

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
	letGo     func() // of what is held of the workspace
	progress  func(step string)
	keeper    *keeper
	pump      *pump

	stopOnce sync.Once
	stopping chan struct{}
	done     chan struct{} // closed when everything is gone
	code     int           // and err are set before done is closed
	err      error
}

func newBottle(s *start, progress func(string)) *bottle {
	return &bottle{
		remote:    remote{api: s.api, backend: s.backend, slug: s.plan.Slug, dir: s.plan.State, services: serviceNames(s.layout)},
		workspace: s.workspace, letGo: s.letGo, progress: progress, keeper: s.keeper,
		stopping: make(chan struct{}), done: make(chan struct{}),
	}
}

func (b *bottle) stop() { b.stopOnce.Do(func() { close(b.stopping) }) }

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
