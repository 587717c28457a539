//go:build linux

package namespace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/internal/commondir"
	"github.com/claude-bottle/claude-bottle/plan"
)

// How long the agent has to end by itself at Down, and how long before it also
// gets the signal of a terminal's end, because shells ignore the first.
const (
	downGrace    = 2 * time.Second
	downPatience = downGrace / 4
)

// bottle is a running bottle in the process that started it.
type bottle struct {
	plan      *plan.Plan
	options   Options
	workspace string
	identity  identity

	keeper  *keeper
	thread  *thread
	cgroups cgroups
	limits  plan.Limits // of each process, where there are no control groups
	guest   *guest
	bundle  *bundle
	files   []*os.File // kept open for the bundle's successors

	commondir *os.File // held in the workspace's repository; may be nil

	session *session // of the agent's command
	pump    *pump
	stage   *stage // what the command's output goes through
	control net.Listener
	// terminal: the agent's command has one.
	terminal bool

	downOnce sync.Once
	down     chan struct{} // closed when the bottle is to end
	done     chan struct{} // closed when everything is gone
	code     int           // and err are set before done is closed
	err      error
}

// command fills in what every command inside has.
func (b *bottle) command(argv []string, s backend.Stdio) command {
	c := command{Argv: argv, Env: agentEnv(b.plan.AgentEnv, s.Terminal), Dir: "/workspace", Terminal: s.Terminal, Limits: b.limits}
	select {
	case c.Size = <-s.Resize:
	default:
	}
	return c
}

// agentEnv adds what a program needs to run at all where the plan is silent.
func agentEnv(planned []string, terminal bool) []string {
	env := slices.Clone(planned)
	defaults := []string{
		"HOME=/home/agent", "USER=agent", "LOGNAME=agent",
		"PATH=/home/agent/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
	if term, ok := os.LookupEnv("TERM"); ok && terminal {
		defaults = append(defaults, "TERM="+term)
	}
	for _, variable := range defaults {
		name, _, _ := strings.Cut(variable, "=")
		if !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") }) {
			env = append(env, variable)
		}
	}
	return env
}

// live waits for the bottle's end, whatever ends it, and tears it down.
func (b *bottle) live() {
	select {
	case b.code = <-b.session.exited:
	case <-b.guest.gone:
		b.code, b.err = lastCode(b.session, 128+int(unix.SIGKILL)), nil
	case <-b.bundle.gone:
		b.code, b.err = 1, b.bundle.err
	case <-b.down:
		b.code = b.endAgent()
	}
	b.teardown()
	close(b.done)
}

// lastCode is the session's exit code if it was told.
func lastCode(s *session, otherwise int) int {
	select {
	case code := <-s.exited:
		return code
	default:
		return otherwise
	}
}

// endAgent asks the agent to end.
func (b *bottle) endAgent() int {
	grace := time.After(downGrace)
	hangup := time.After(downPatience)
	b.guest.signal(b.session, int(unix.SIGTERM))
	for {
		select {
		case code := <-b.session.exited:
			return code
		case <-hangup:
			b.guest.signal(b.session, int(unix.SIGHUP))
			continue
		case <-b.guest.gone:
		case <-grace:
		}
		return lastCode(b.session, 128+int(unix.SIGKILL))
	}
}

// teardown ends all there is, in any state of the start, agent first. Errors
// have nobody to go to but `bottle cleanup`, which finds what is left.
func (b *bottle) teardown() {
	if b.control != nil {
		b.control.Close()
	}
	if b.guest != nil {
		b.guest.stop()
	}
	if b.bundle != nil {
		b.bundle.stop()
	}
	if b.pump != nil {
		b.pump.finish(false)
		b.stage.end()
	}
	closeAll(b.files)
	if err := commondir.Release(b.workspace, b.commondir); err != nil {
		b.err = errors.Join(b.err, fmt.Errorf("remove the bottle's %s: %w", commondir.Name, err))
	}
	if err := b.cgroups.remove(); err != nil {
		b.err = errors.Join(b.err, fmt.Errorf("`bottle cleanup` may remove it later: %w", err))
	}
	if err := b.keeper.release(); err != nil {
		b.err = errors.Join(b.err, err)
	}
	b.thread.close()
}

// stop begins the end.
func (b *bottle) stop() { b.downOnce.Do(func() { close(b.down) }) }

// Wait implements backend.Bottle.
func (b *bottle) Wait(ctx context.Context) (int, error) {
	select {
	case <-b.done:
		return b.code, b.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// Exec implements backend.Bottle.
func (b *bottle) Exec(ctx context.Context, argv []string, s backend.Stdio) (int, error) {
	session, streams, err := b.guest.run(ctx, b.command(argv, s))
	if err != nil {
		return exitOf(err), err
	}
	send := func(number int) { b.guest.signal(session, number) }
	p := startPump(streams, s, send)
	defer p.finish(true)
	return b.waitSession(ctx, session, send)
}

// waitSession returns a command's exit code. When ctx ends first the command
// is killed.
func (b *bottle) waitSession(ctx context.Context, s *session, send func(int)) (int, error) {
	select {
	case code := <-s.exited:
		return code, nil
	case <-b.guest.gone:
		return lastCode(s, 128+int(unix.SIGKILL)), nil
	case <-ctx.Done():
		send(int(unix.SIGKILL))
		return 128 + int(unix.SIGKILL), context.Cause(ctx)
	}
}

// exitOf is the exit code that goes with an error of starting a command.
func exitOf(err error) int {
	var failed *backend.CommandError
	if errors.As(err, &failed) {
		return failed.Code
	}
	return 1
}

// Attach implements backend.Bottle. The process that started a bottle has its
// streams already.
func (b *bottle) Attach(context.Context, backend.Stdio) (int, error) {
	return 1, errors.New("this process has the agent's streams")
}

// Signal implements backend.Bottle.
func (b *bottle) Signal(_ context.Context, sig os.Signal) error { return b.bundle.signal(sig) }

// Health implements backend.Bottle.
func (b *bottle) Health(ctx context.Context) ([]byte, error) { return probeHealth(ctx, b.plan.State) }

// ReadFile implements backend.Bottle.
func (b *bottle) ReadFile(_ context.Context, name string) ([]byte, error) {
	return readInput(b.plan.State, name)
}

// WriteFile implements backend.Bottle.
func (b *bottle) WriteFile(_ context.Context, name string, content []byte) error {
	return writeInput(b.plan.State, name, content)
}

// Down implements backend.Bottle.
func (b *bottle) Down(ctx context.Context) error {
	b.stop()
	_, err := b.Wait(ctx)
	return err
}

func sortedNames(ports map[string]int) []string { return slices.Sorted(maps.Keys(ports)) }
