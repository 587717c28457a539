//go:build linux

package namespace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/state"
)

// remote is a bottle that another process started.
type remote struct {
	dir    state.Dir
	record record
}

// Open implements backend.Backend.
func (b *Backend) Open(_ context.Context, slug string) (backend.Bottle, error) {
	if err := state.CheckSlug(slug); err != nil {
		return nil, err
	}
	dir := b.options.Home.Dir(slug)
	r, err := readRecord(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !r.alive() {
		return nil, fmt.Errorf("no bottle %s is running; `bottle ls` shows those that are", slug)
	}
	if err != nil {
		return nil, err
	}
	return &remote{dir: dir, record: r}, nil
}

// ask connects and puts a question.
func (r *remote) ask(q question) (*wire, error) {
	path, err := r.dir.Socket(controlSocket)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("bottle %s does not answer, it may still be starting: %w", r.record.Slug, err)
	}
	w := &wire{conn: conn, limit: maxEvent}
	if err := w.send(q); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// settle waits for the one answer to a question.
func (r *remote) settle(ctx context.Context, w *wire) (answer, error) {
	defer context.AfterFunc(ctx, func() { w.close() })()
	var a answer
	files, err := w.receive(&a)
	closeAll(files)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return a, err
}

// Wait implements backend.Bottle. The exit code is told to the process that
// started the bottle alone; here it is 0.
func (r *remote) Wait(ctx context.Context) (int, error) {
	for r.record.alive() {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return 0, nil
}

// Exec implements backend.Bottle.
func (r *remote) Exec(ctx context.Context, argv []string, s backend.Stdio) (int, error) {
	request := execRequest{Argv: argv, Terminal: s.Terminal}
	select {
	case request.Size = <-s.Resize:
	default:
	}
	w, err := r.ask(question{Exec: &request})
	if err != nil {
		return 1, err
	}
	defer w.close()
	defer context.AfterFunc(ctx, func() { w.close() })()

	var begun answer
	streams, err := w.receive(&begun)
	switch {
	case err != nil:
		return 1, errors.Join(context.Cause(ctx), fmt.Errorf("bottle %s went away: %w", r.record.Slug, err))
	case begun.Refused:
		closeAll(streams)
		return begun.Code, &backend.CommandError{Code: begun.Code, Err: errors.New(begun.Error)}
	case !begun.Started || len(streams) == 0:
		closeAll(streams)
		return 1, fmt.Errorf("bottle %s did not start the command: %s", r.record.Slug, begun.Error)
	}
	p := startPump(streams, s, func(number int) { _ = w.send(question{Kill: number}) })
	defer p.finish(true)
	var end answer
	if _, err := w.receive(&end); err != nil {
		if ctx.Err() != nil {
			return 128 + int(unix.SIGKILL), context.Cause(ctx)
		}
		return 128 + int(unix.SIGKILL), fmt.Errorf("bottle %s went away", r.record.Slug)
	}
	return end.Code, nil
}

// Signal implements backend.Bottle.
func (r *remote) Signal(ctx context.Context, sig os.Signal) error {
	number, ok := sig.(unix.Signal)
	if !ok {
		return fmt.Errorf("%v is not a signal of this system", sig)
	}
	w, err := r.ask(question{Signal: int(number)})
	if err != nil {
		return err
	}
	defer w.close()
	a, err := r.settle(ctx, w)
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	return err
}

// Health implements backend.Bottle.
func (r *remote) Health(ctx context.Context) ([]byte, error) { return probeHealth(ctx, r.dir) }

// ReadFile implements backend.Bottle.
func (r *remote) ReadFile(_ context.Context, name string) ([]byte, error) {
	return readInput(r.dir, name)
}

// WriteFile implements backend.Bottle.
func (r *remote) WriteFile(_ context.Context, name string, content []byte) error {
	return writeInput(r.dir, name, content)
}

// upGrace is how long `bottle up` has to answer before it is ended by force: the
// agent's grace and the bundle's.
const upGrace = downGrace + bundleGrace + 3*time.Second

// Down implements backend.Bottle. A `bottle up` that does not answer is ended
// by signals; its children die with it.
func (r *remote) Down(ctx context.Context) error {
	patient, cancel := context.WithTimeout(ctx, upGrace)
	defer cancel()
	if w, err := r.ask(question{Down: true}); err == nil {
		_, _ = r.settle(patient, w)
		w.close()
		if _, err := r.Wait(patient); err == nil {
			return nil
		}
	}
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if !r.record.alive() {
			break
		}
		_ = unix.Kill(r.record.Up.PID, sig)
		gone, cancel := context.WithTimeout(ctx, downGrace)
		_, _ = r.Wait(gone)
		cancel()
	}
	if r.record.alive() {
		return fmt.Errorf("process %d of bottle %s does not end", r.record.Up.PID, r.record.Slug)
	}
	return removeLeftovers(r.dir)
}
