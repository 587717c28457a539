package docker

import (
	"context"
	"io"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/claude-bottle/claude-bottle/backend"
)

// detachKeys is a sequence that nobody types: the engine's own, ctrl-p ctrl-q,
// would swallow a key that agents use.
const detachKeys = "ctrl-^,ctrl-@,ctrl-^,ctrl-@"

// afterExit is how long a command's output is waited for when the command has
// ended but something it left behind keeps its streams open.
const afterExit = time.Second

// pump moves a command's streams between the engine and the operator's side.
type pump struct {
	conn   client.HijackedResponse
	output chan struct{} // closed when there is no more output
	ended  chan struct{}
	once   sync.Once
}

// startPump takes over a connection to a command's streams. Window sizes go to
// resize, signals to send; either may be nil.
func startPump(conn client.HijackedResponse, s backend.Stdio, resize func(backend.Size), send func(os.Signal)) *pump {
	p := &pump{conn: conn, output: make(chan struct{}), ended: make(chan struct{})}
	go p.feed(s)
	go p.drain(s)
	go p.watch(s, resize, send)
	return p
}

// feed copies the operator's input. At its end a pipe is closed; a terminal
// stays. A read that blocks outlives the command.
func (p *pump) feed(s backend.Stdio) {
	if s.In != nil {
		_, _ = io.Copy(p.conn.Conn, s.In)
	}
	if !s.Terminal {
		_ = p.conn.CloseWrite()
	}
}

func (p *pump) drain(s backend.Stdio) {
	defer close(p.output)
	out, errs := s.Out, s.Err
	if out == nil {
		out = io.Discard
	}
	if errs == nil {
		errs = io.Discard
	}
	var err error
	if s.Terminal {
		_, err = io.Copy(out, p.conn.Reader)
	} else {
		_, err = stdcopy.StdCopy(out, errs, p.conn.Reader)
	}
	if err != nil {
		_, _ = io.Copy(io.Discard, p.conn.Reader) // the operator's side is gone; the command must not block
	}
}

func (p *pump) watch(s backend.Stdio, resize func(backend.Size), send func(os.Signal)) {
	sizes, signals := s.Resize, s.Signals
	for {
		select {
		case <-p.ended:
			return
		case size, ok := <-sizes:
			if !ok {
				sizes = nil
			} else if s.Terminal && resize != nil {
				resize(size)
			}
		case signal, ok := <-signals:
			if !ok {
				signals = nil
			} else if send != nil {
				send(signal)
			}
		}
	}
}

// finish returns when all output has been delivered, or after a while when
// something still holds the streams.
func (p *pump) finish() {
	timer := time.NewTimer(afterExit)
	defer timer.Stop()
	select {
	case <-p.output:
	case <-timer.C:
	}
	p.close()
}

// close gives the streams up.
func (p *pump) close() {
	p.once.Do(func() {
		close(p.ended)
		p.conn.Close()
	})
}

// sendSignal signals a container's first process.
func sendSignal(ctx context.Context, api *client.Client, container string, s os.Signal) error {
	number, ok := s.(syscall.Signal)
	if !ok {
		return os.ErrInvalid
	}
	_, err := api.ContainerKill(ctx, container, client.ContainerKillOptions{Signal: strconv.Itoa(int(number))})
	return err
}

// inside runs a command in a container and returns its exit code when all of
// its output has been delivered.
func inside(ctx context.Context, api *client.Client, container string, options client.ExecCreateOptions, s backend.Stdio, send func(os.Signal)) (int, error) {
	options.TTY, options.DetachKeys = s.Terminal, detachKeys
	options.AttachStdout, options.AttachStderr = true, true
	options.AttachStdin = s.In != nil
	created, err := api.ExecCreate(ctx, container, options)
	if err != nil {
		return 1, err
	}
	attach := client.ExecAttachOptions{TTY: s.Terminal}
	attached, err := api.ExecAttach(ctx, created.ID, attach)
	if err != nil {
		return 1, err
	}
	resize := func(size backend.Size) {
		_, _ = api.ExecResize(ctx, created.ID, client.ExecResizeOptions{Height: uint(size.Rows), Width: uint(size.Cols)})
	}
	p := startPump(attached.HijackedResponse, s, resize, send)
	defer p.close()
	select {
	case <-p.output:
	case <-ctx.Done():
		return 128 + int(syscall.SIGKILL), context.Cause(ctx)
	}
	return execCode(ctx, api, created.ID)
}

// execCode waits for the end of a command whose output has ended.
func execCode(ctx context.Context, api *client.Client, id string) (int, error) {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		state, err := api.ExecInspect(ctx, id, client.ExecInspectOptions{})
		if err != nil {
			return 1, err
		}
		if !state.Running {
			return state.ExitCode, nil
		}
		select {
		case <-ctx.Done():
			return 1, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}
