//go:build linux

package namespace

import (
	"context"
	"errors"
	"fmt"
	"os"
	ossignal "os/signal"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/containment"
)

// initProcess is the init's second life: PID 1 of the bottle, without any
// capability and under the agent's own system call filter.
type initProcess struct {
	wire *wire
	// mu is held from fork until the child is in running, and from wait until an
	// ended one has been looked up there.
	mu      sync.Mutex
	running map[int]int // pid → command
}

// resident serves `bottle up` until it goes away, which ends the bottle.
func resident() error {
	if err := errors.Join(
		unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0),
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0),
	); err != nil {
		return err
	}
	unix.CloseOnExec(controlFD)
	// What the agent may send must not end its own bottle; SIGKILL does not
	// arrive from inside. Caught, not ignored: commands would inherit that.
	ossignal.Notify(make(chan os.Signal, 1))
	w, err := newWire(os.NewFile(controlFD, "control"), maxRequest)
	if err != nil {
		return err
	}
	p := &initProcess{wire: w, running: make(map[int]int)}
	go p.reap()
	if err := w.send(event{Ready: true}); err != nil {
		return err
	}
	for {
		var r request
		files, err := w.receive(&r)
		if err != nil {
			return nil //nolint:nilerr // the other end is gone, whatever the reason
		}
		closeAll(files)
		if err := p.serve(r); err != nil {
			return err
		}
	}
}

func (p *initProcess) serve(r request) error {
	switch {
	case r.Prove != nil:
		ctx, cancel := context.WithTimeout(context.Background(), containment.Limit)
		defer cancel()
		report := containment.Prove(ctx, *r.Prove)
		return p.wire.send(event{Proof: &report})
	case r.Run != nil:
		return p.run(*r.Run)
	case r.Kill != nil:
		p.kill(*r.Kill)
	}
	return nil
}

// run starts a command and sends its streams out.
func (p *initProcess) run(c command) error {
	path, code, err := lookUp(c)
	if err != nil {
		return p.wire.send(event{Started: &started{ID: c.ID, Error: err.Error(), Code: code}})
	}
	streams, err := openStreams(c)
	if err != nil {
		return p.wire.send(event{Started: &started{ID: c.ID, Error: err.Error(), Code: 126}})
	}
	defer closeAll(streams.outer)

	p.mu.Lock()
	defer p.mu.Unlock()
	pid, err := fork(path, c, streams.inner())
	closeAll(streams.innerFiles)
	if err != nil {
		return p.wire.send(event{Started: &started{ID: c.ID, Error: fmt.Sprintf("%s: %v", path, err), Code: 126}})
	}
	p.running[pid] = c.ID
	// Sent under the lock, so that no end is told before its beginning.
	return p.wire.send(event{Started: &started{ID: c.ID}}, streams.outer...)
}

// kill signals a command's process group, as a terminal would.
func (p *initProcess) kill(s signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pid, id := range p.running {
		if id == s.ID {
			_ = unix.Kill(-pid, unix.Signal(s.Signal))
		}
	}
}

// reap collects every child's exit code, the orphans' too.
func (p *initProcess) reap() {
	ended := make(chan os.Signal, 1)
	ossignal.Notify(ended, unix.SIGCHLD)
	for range ended {
		for {
			p.mu.Lock()
			var status unix.WaitStatus
			pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
			id, ours := p.running[pid]
			delete(p.running, pid)
			p.mu.Unlock()
			if err != nil || pid <= 0 {
				break
			}
			if ours {
				_ = p.wire.send(event{Exited: &exited{ID: id, Code: exitCode(status)}})
			}
		}
	}
}

// exitCode is a status as shells tell it.
func exitCode(status unix.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}
