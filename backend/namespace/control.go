//go:build linux

package namespace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/backend"
)

// What other processes of the operator ask `bottle up`, over the control
// socket, one question a connection. One field is set.
type question struct {
	Down   bool         `json:",omitempty"`
	Signal int          `json:",omitempty"` // for the bundle
	Exec   *execRequest `json:",omitempty"`
	// Kill is a signal for the command that this connection's Exec started.
	Kill int `json:",omitempty"`
	// Attach joins the agent's terminal; Resize sets its size from then on.
	Attach bool          `json:",omitempty"`
	Resize *backend.Size `json:",omitempty"`
}

type execRequest struct {
	Argv     []string
	Terminal bool
	Size     backend.Size
}

// answer ends a question, but for Started, which comes with the streams of an
// Exec and before its end.
type answer struct {
	Started bool   `json:",omitempty"`
	Code    int    `json:",omitempty"`
	Error   string `json:",omitempty"`
	// Refused tells that Error is about starting the command.
	Refused bool `json:",omitempty"`
}

// hangupGrace is how long a command has to end when whoever asked for it went.
const hangupGrace = 2 * time.Second

// serveControl opens the control socket.
func (b *bottle) serveControl() error {
	path, err := b.plan.State.Socket(controlSocket)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("the control socket: %w", err)
	}
	b.control = listener
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			go b.answer(conn)
		}
	}()
	return nil
}

// answer serves one connection.
func (b *bottle) answer(conn *net.UnixConn) {
	w := &wire{conn: conn, limit: maxRequest}
	defer w.close()
	if !isOperator(conn) {
		return
	}
	var q question
	files, err := w.receive(&q)
	closeAll(files)
	if err != nil {
		return
	}
	switch {
	case q.Down:
		b.stop()
		<-b.done
		_ = w.send(answer{})
	case q.Signal != 0:
		var a answer
		if err := b.bundle.signal(unix.Signal(q.Signal)); err != nil {
			a.Error = err.Error()
		}
		_ = w.send(a)
	case q.Exec != nil:
		b.answerExec(w, *q.Exec)
	case q.Attach:
		b.answerAttach(w)
	}
}

// answerExec runs a command whose streams the asking process moves itself.
func (b *bottle) answerExec(w *wire, r execRequest) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := b.command(r.Argv, backend.Stdio{Terminal: r.Terminal})
	c.Size = r.Size
	session, streams, err := b.guest.run(ctx, c)
	if err != nil {
		_ = w.send(answer{Error: err.Error(), Code: exitOf(err), Refused: true})
		return
	}
	send := func(number int) { b.guest.signal(session, number) }
	err = w.send(answer{Started: true}, streams...)
	closeAll(streams)
	go func() {
		defer cancel()
		for err == nil {
			var q question
			var files []*os.File
			files, err = w.receive(&q)
			closeAll(files)
			if err == nil && q.Kill != 0 {
				send(q.Kill)
			}
		}
	}()
	select {
	case code := <-session.exited:
		_ = w.send(answer{Code: code})
	case <-b.guest.gone:
		_ = w.send(answer{Code: lastCode(session, 128+int(unix.SIGKILL))})
	case <-ctx.Done():
		send(int(unix.SIGHUP))
		select {
		case <-session.exited:
		case <-b.guest.gone:
		case <-time.After(hangupGrace):
			send(int(unix.SIGKILL))
		}
	}
}
