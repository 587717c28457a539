package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/state"
)

// remote is a bottle as every process reaches it.
type remote struct {
	api     *client.Client
	backend *Backend
	slug    string
	dir     state.Dir
	// services are the bundle's containers by part.
	services map[string]string
}

func serviceNames(l layout) map[string]string {
	names := make(map[string]string)
	for _, s := range l.services() {
		names[s.part] = s.container(l.plan.Slug)
	}
	return names
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
	r := &remote{api: api, backend: b, slug: slug, dir: b.options.Home.Dir(slug), services: map[string]string{}}
	for part, c := range found[slug].containers {
		if isService(part) {
			r.services[part] = containerName(c)
		}
	}
	return r, nil
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

// Signal implements backend.Bottle. In the split shape every role gets it; those
// that it does not concern ignore it.
func (r *remote) Signal(ctx context.Context, sig os.Signal) error {
	var failed []error
	for _, name := range r.services {
		if err := sendSignal(ctx, r.api, name, sig); err != nil {
			failed = append(failed, fmt.Errorf("signal %s: %w", name, err))
		}
	}
	if len(r.services) == 0 {
		return fmt.Errorf("bottle %s has no bundle", r.slug)
	}
	return errors.Join(failed...)
}

// Health implements backend.Bottle. In the split shape it is that of all
// containers together.
func (r *remote) Health(ctx context.Context) ([]byte, error) {
	if len(r.services) == 0 {
		return nil, fmt.Errorf("bottle %s has no bundle", r.slug)
	}
	if len(r.services) == 1 {
		for part, name := range r.services {
			_, body, err := askHealth(ctx, r.api, r.dir, part, name)
			return body, err
		}
	}
	whole := health.Report{Ready: true, Roles: map[string]health.RoleReport{}}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for part, name := range r.services {
		group.Go(func() error {
			report, _, err := askHealth(ctx, r.api, r.dir, part, name)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			whole.Ready = whole.Ready && report.Ready
			maps.Copy(whole.Roles, report.Roles)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return json.Marshal(whole)
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
	return removeAll(ctx, r.backend.options.Home, r.dir, workspace)
}
