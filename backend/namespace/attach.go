//go:build linux

package namespace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/claude-bottle/claude-bottle/backend"
)

// answerAttach joins another process to the agent's terminal: it gets the
// reading end of what the agent prints and the writing end of what is typed.
func (b *bottle) answerAttach(w *wire) {
	if !b.terminal {
		_ = w.send(answer{Refused: true})
		return
	}
	typed, typing, err := os.Pipe()
	if err != nil {
		_ = w.send(answer{Error: err.Error()})
		return
	}
	defer typed.Close()
	shown, showing, err := os.Pipe()
	if err != nil {
		typing.Close()
		_ = w.send(answer{Error: err.Error()})
		return
	}
	dropped := b.stage.join(showing)
	if dropped == nil {
		closeAll([]*os.File{typing, shown})
		_ = w.send(answer{Error: "the agent has ended"})
		return
	}
	defer b.stage.left.Done()
	defer b.stage.leave(showing)
	err = w.send(answer{Started: true}, typing, shown)
	closeAll([]*os.File{typing, shown})
	if err != nil {
		return
	}
	go func() { _, _ = io.Copy(b.pump.files[0], typed) }()

	gone := make(chan struct{})
	go func() {
		defer close(gone)
		b.followSizes(w)
	}()
	select {
	case <-gone:
	case <-dropped: // left behind, or the end
	}
	select {
	case <-b.stage.ended:
		_ = w.send(answer{Code: b.code})
	default:
	}
}

// redrawPause is how long a program has to see that its terminal's size changed.
const redrawPause = 100 * time.Millisecond

// followSizes sets the terminal's size as whoever attached says, until they
// leave. At first another one in between makes a program that fills the screen
// draw all of it, also where the size is the same.
func (b *bottle) followSizes(w *wire) {
	for first := true; ; {
		var q question
		files, err := w.receive(&q)
		closeAll(files)
		if err != nil {
			return
		}
		if q.Resize == nil || q.Resize.Rows == 0 || q.Resize.Cols == 0 {
			continue
		}
		if first {
			setSize(b.pump.files[0], backend.Size{Rows: q.Resize.Rows, Cols: q.Resize.Cols + 1})
			time.Sleep(redrawPause)
		}
		first = false
		setSize(b.pump.files[0], *q.Resize)
	}
}

// Attach implements backend.Bottle.
func (r *remote) Attach(ctx context.Context, s backend.Stdio) (int, error) {
	w, err := r.ask(question{Attach: true})
	if err != nil {
		return 1, err
	}
	defer w.close()
	defer context.AfterFunc(ctx, func() { w.close() })()

	var begun answer
	files, err := w.receive(&begun)
	defer func() { closeAll(files) }()
	switch {
	case err != nil:
		return 1, errors.Join(context.Cause(ctx), fmt.Errorf("bottle %s went away: %w", r.record.Slug, err))
	case begun.Refused:
		return 1, backend.ErrNoTerminal
	case !begun.Started || len(files) != 2:
		return 1, fmt.Errorf("bottle %s: %s", r.record.Slug, begun.Error)
	}
	for i := range files {
		files[i] = pollable(files[i])
	}
	typing, shown := files[0], files[1]
	ended := make(chan struct{})
	defer close(ended)
	go resizes(s.Resize, ended, func(size backend.Size) { _ = w.send(question{Resize: &size}) })
	if s.In != nil {
		go func() { _, _ = io.Copy(typing, s.In) }()
	}
	defer context.AfterFunc(ctx, func() { shown.Close() })()
	if s.Out == nil {
		s.Out = io.Discard
	}
	_, copied := io.Copy(s.Out, shown)
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if copied != nil {
		return 1, copied
	}
	var end answer
	if _, err := w.receive(&end); err != nil {
		return 1, fmt.Errorf("bottle %s left this terminal behind, or went away: %w", r.record.Slug, err)
	}
	return end.Code, nil
}

// resizes passes on window sizes until ended.
func resizes(sizes <-chan backend.Size, ended <-chan struct{}, set func(backend.Size)) {
	for {
		select {
		case <-ended:
			return
		case size, ok := <-sizes:
			if !ok {
				return
			}
			set(size)
		}
	}
}
