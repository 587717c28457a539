package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// enginePatience is how long an engine that does not answer is waited for. One
// that is started again may have let its containers live.
const enginePatience = 45 * time.Second

// enginePause is between two attempts to reach it.
const enginePause = 250 * time.Millisecond

// errEngineLost says that the engine was not waited for any longer. What it
// runs may still run, so that nothing of the bottle is removed.
var errEngineLost = errors.New("the Docker engine no longer answers; when it does, `bottle ls` tells whether the bottle lives, and `bottle cleanup` removes it if it does not")

// killed is the exit code of an agent whose own nobody can tell.
const killed = 128 + int(syscall.SIGKILL)

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
	for ended := false; !ended; {
		ended = true
		select {
		case result := <-exited.Result:
			b.code = int(result.StatusCode)
		case err := <-exited.Error:
			b.code, ended, b.err = b.afterBreak(ctx, err)
			if !ended {
				b.progress("note: the Docker engine was started again and let bottle " + b.slug + " live; `bottle attach` joins its terminal again")
				exited = b.api.ContainerWait(ctx, agentContainer(b.slug), client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
			}
		case err := <-bundleGone:
			b.code, b.err = 1, err
		case <-b.stopping:
			b.code = b.endAgent(ctx, exited)
		}
	}
	b.pump.finish()
	b.letGo()
	if !errors.Is(b.err, errEngineLost) {
		b.err = errors.Join(b.err, b.remove(ctx))
	}
	b.keeper.release()
}

// remove removes all of the bottle, also when its engine is being started again.
func (b *bottle) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*enginePatience)
	defer cancel()
	for deadline := time.Now().Add(enginePatience); ; time.Sleep(enginePause) {
		err := removeAll(ctx, b.backend.options.Home, b.dir, b.workspace)
		switch {
		case err == nil:
			return nil
		case !isLost(err):
			return fmt.Errorf("`bottle cleanup` may remove it later: %w", err)
		case time.Now().After(deadline):
			return errors.Join(errEngineLost, err)
		}
	}
}

// isLost tells that an engine did not answer, which says nothing about what was
// asked.
func isLost(err error) bool {
	return client.IsErrConnectionFailed(err) || errdefs.IsUnavailable(err) ||
		errors.Is(err, syscall.ECONNRESET) || strings.HasSuffix(err.Error(), "EOF")
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
	return killed
}

// afterBreak finds out what became of the agent when the connection that waits
// for its end broke: it ended with a code, or it runs and is waited for again.
func (b *bottle) afterBreak(ctx context.Context, broken error) (code int, ended bool, err error) {
	for deadline := time.Now().Add(enginePatience); ; {
		agent, err := b.api.ContainerInspect(ctx, agentContainer(b.slug), client.ContainerInspectOptions{})
		switch {
		case err != nil && gone(err) == nil:
			return killed, true, nil // `bottle down` has removed it
		case err == nil && agent.Container.State != nil && !agent.Container.State.Running:
			return agent.Container.State.ExitCode, true, nil
		case time.Now().After(deadline):
			return killed, true, fmt.Errorf("%w: %w", errEngineLost, broken)
		}
		select {
		case <-b.stopping:
			return killed, true, nil
		case <-time.After(enginePause):
		}
		if err == nil {
			return 0, false, nil
		}
	}
}

// watchService returns an error when a container of the bundle is dead and the
// engine has given up starting it again, and nil when it was removed. What an
// engine cannot tell because it does not answer is no death.
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
		service, err := b.api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && gone(err) == nil:
			return nil // somebody removes the bottle; the agent's end tells the rest
		case err != nil && isLost(err):
		case err == nil && service.Container.State != nil && (service.Container.State.Running || service.Container.State.Restarting):
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
