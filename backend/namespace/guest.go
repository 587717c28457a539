//go:build linux

package namespace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/containment"
)

// guest is the init as `bottle up` sees it: a process that may be the agent's
// by now, so that nothing it says is waited for without bound or believed
// beyond its own bottle.
type guest struct {
	cmd  *exec.Cmd
	wire *wire
	said *complaint

	listening chan []*os.File // in the order of roles asked for, once
	ready     chan struct{}
	proofs    chan containment.Report
	failed    chan string

	mu       sync.Mutex
	next     int
	sessions map[int]*session

	gone chan struct{} // closed when the process has ended and been read out
}

// session is one command inside.
type session struct {
	id      int
	started chan startedSession
	exited  chan int
}

type startedSession struct {
	files []*os.File
	err   error
	code  int
}

// newGuest launches the init.
func newGuest(t *thread, self string, id identity) (*guest, error) {
	ours, theirs, err := wirePair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	w, err := newWire(ours, maxEvent)
	if err != nil {
		return nil, err
	}
	cmd, said, err := launch(t, self, setupArg, id, theirs)
	if err != nil {
		w.close()
		return nil, explainLaunch(err)
	}
	g := &guest{
		cmd: cmd, wire: w, said: said,
		listening: make(chan []*os.File, 1), ready: make(chan struct{}, 1),
		proofs: make(chan containment.Report, 1), failed: make(chan string, 1),
		sessions: make(map[int]*session), gone: make(chan struct{}),
	}
	go func() {
		defer close(g.gone)
		g.listen()
		g.wire.close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	return g, nil
}

// listen reads what the init says until it ends.
func (g *guest) listen() {
	for {
		var e event
		files, err := g.wire.receive(&e)
		if err != nil {
			return
		}
		g.hear(e, files)
	}
}

// hear passes an event on to whoever waits for it. What nobody waits for is
// dropped.
func (g *guest) hear(e event, files []*os.File) {
	switch {
	case e.Listening != nil && len(files) == len(e.Listening):
		offer(g.listening, files, closeAll)
	case e.Ready:
		closeAll(files)
		offer(g.ready, struct{}{}, nil)
	case e.Failed != "":
		closeAll(files)
		offer(g.failed, e.Failed, nil)
	case e.Proof != nil:
		closeAll(files)
		offer(g.proofs, *e.Proof, nil)
	case e.Started != nil:
		s := g.session(e.Started.ID)
		if s == nil { // whoever asked for it has gone
			closeAll(files)
			go g.signal(&session{id: e.Started.ID}, int(unix.SIGKILL))
			return
		}
		result := startedSession{files: files, code: e.Started.Code}
		if e.Started.Error != "" {
			closeAll(files)
			result.files, result.err = nil, errors.New(clean(e.Started.Error))
		}
		offer(s.started, result, func(r startedSession) { closeAll(r.files) })
	case e.Exited != nil:
		closeAll(files)
		if s := g.session(e.Exited.ID); s != nil {
			g.forget(s)
			offer(s.exited, e.Exited.Code&0xff, nil)
		}
	default:
		closeAll(files)
	}
}

// offer sends without waiting; discard gets what nobody takes.
func offer[T any](to chan T, value T, discard func(T)) {
	select {
	case to <- value:
	default:
		if discard != nil {
			discard(value)
		}
	}
}

// clean makes the agent's words fit for a terminal.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

func (g *guest) session(id int) *session {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sessions[id]
}

func (g *guest) forget(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sessions, s.id)
}

// run starts a command. The session's exited channel gets its exit code, or
// the guest goes. The files are the command's streams.
func (g *guest) run(ctx context.Context, c command) (*session, []*os.File, error) {
	s := &session{started: make(chan startedSession, 1), exited: make(chan int, 1)}
	g.mu.Lock()
	g.next++
	s.id = g.next
	g.sessions[s.id] = s
	g.mu.Unlock()

	c.ID = s.id
	if err := g.wire.send(request{Run: &c}); err != nil {
		g.forget(s)
		return nil, nil, g.explainEnd(err)
	}
	result, err := await(ctx, g, s.started)
	if err != nil {
		g.forget(s)
		return nil, nil, err
	}
	wanted := 3
	if c.Terminal {
		wanted = 1
	}
	if result.err == nil && len(result.files) != wanted {
		closeAll(result.files)
		result = startedSession{err: errors.New("the bottle's init sent no streams"), code: 126}
	}
	if result.err != nil {
		g.forget(s)
		return nil, nil, &backend.CommandError{Code: result.code, Err: result.err}
	}
	return s, result.files, nil
}

// prove runs the containment proof inside.
func (g *guest) prove(ctx context.Context, targets containment.Targets) (containment.Report, error) {
	if err := g.wire.send(request{Prove: &targets}); err != nil {
		return containment.Report{}, g.explainEnd(err)
	}
	return await(ctx, g, g.proofs)
}

// signal reaches a command's process group.
func (g *guest) signal(s *session, number int) {
	_ = g.wire.send(request{Kill: &signal{ID: s.id, Signal: number}})
}

// await waits for an answer, the guest's end, or ctx.
func await[T any](ctx context.Context, g *guest, answer <-chan T) (value T, err error) {
	select {
	case value = <-answer:
		return value, nil
	case why := <-g.failed:
		return value, errors.New(why)
	case <-g.gone:
		select { // both may have come
		case value = <-answer:
			return value, nil
		case why := <-g.failed:
			return value, errors.New(why)
		default:
			return value, g.explainEnd(nil)
		}
	case <-ctx.Done():
		return value, context.Cause(ctx)
	}
}

// explainEnd waits for the init's end and quotes it.
func (g *guest) explainEnd(err error) error {
	g.stop()
	return errors.Join(fmt.Errorf("the bottle's init ended: %v %s", g.cmd.ProcessState, g.said), err)
}

// stop kills the init, and with it every process of the bottle, and returns
// when all are gone.
func (g *guest) stop() {
	_ = g.cmd.Process.Kill()
	<-g.gone
}
