package docker

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/state"
)

// remote is a bottle as every process reaches it.
type remote struct {
	api     *client.Client
	backend *Backend
	slug    string
	dir     state.Dir
}

var _ backend.Bottle = (*remote)(nil)

// Open implements backend.Backend.
func (b *Backend) Open(ctx context.Context, slug string) (backend.Bottle, error) {
	if err := state.CheckSlug(slug); err != nil {
		return nil, err
	}
	api, err := connect(ctx)
	if err != nil {
		return nil, err
	}
	found, err := b.find(ctx, api, slug)
	if err == nil && !found[slug].agentRuns() {
		err = fmt.Errorf("no bottle %s is running; `bottle ls` shows those that are", slug)
	}
	if err != nil {
		api.Close()
		return nil, err
	}
	return &remote{api: api, backend: b, slug: slug, dir: b.options.Home.Dir(slug)}, nil
}

// Wait implements backend.Bottle.
func (r *remote) Wait(ctx context.Context) (int, error) {
	wait := r.api.ContainerWait(ctx, agentContainer(r.slug), client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	code := 0
	select {
	case result := <-wait.Result:
		code = int(result.StatusCode)
	case err := <-wait.Error:
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if gone(err) != nil {
			return 0, err
		}
	}
	for hasUp(r.dir) {
		select {
		case <-ctx.Done():
			return code, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return code, nil
}

// Exec implements backend.Bottle.
func (r *remote) Exec(ctx context.Context, command []string, s backend.Stdio) (int, error) {
	return execInside(ctx, r.api, agentContainer(r.slug), command, s)
}

// Signal implements backend.Bottle.
func (r *remote) Signal(ctx context.Context, sig os.Signal) error {
	if err := sendSignal(ctx, r.api, bundleContainer(r.slug), sig); err != nil {
		return fmt.Errorf("signal the bundle of %s: %w", r.slug, err)
	}
	return nil
}

// Health implements backend.Bottle.
func (r *remote) Health(ctx context.Context) ([]byte, error) {
	return healthBody(ctx, r.api, bundleContainer(r.slug))
}

// Down implements backend.Bottle. The bottle's `bottle up`, where it lives,
// sees the agent end and removes the rest; otherwise it is removed here.
func (r *remote) Down(ctx context.Context) error {
	if err := stopContainer(ctx, r.api, agentContainer(r.slug), agentGrace); err != nil {
		return err
	}
	patient, cancel := context.WithTimeout(ctx, (bundleGrace+5)*time.Second)
	defer cancel()
	_, _ = r.Wait(patient)
	workspace := ""
	if record, err := readRecord(r.dir); err == nil {
		workspace = record.Workspace
	}
	return removeAll(ctx, r.api, r.backend.options.Home, r.dir, workspace)
}
