//go:build linux

package namespace

import (
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/backend"
)

// afterExit is how long a command's output is waited for when the command has
// ended but something it left behind keeps its streams open.
const afterExit = time.Second

// pump moves a command's streams between the bottle and the operator's side.
type pump struct {
	files  []*os.File
	output sync.WaitGroup
	ended  chan struct{}
}

// startPump takes over the files, the terminal's master or stdin, stdout and
// stderr. Signals go to send.
func startPump(files []*os.File, s backend.Stdio, send func(number int)) *pump {
	p := &pump{files: files, ended: make(chan struct{})}
	for i, file := range files {
		p.files[i] = pollable(file)
	}
	in, out, errs := p.files[0], p.files[0], (*os.File)(nil)
	if !s.Terminal {
		out, errs = p.files[1], p.files[2]
	}
	go p.feed(in, s)
	p.drain(out, s.Out)
	if errs != nil {
		p.drain(errs, s.Err)
	}
	go p.watch(s, send)
	return p
}

// pollable returns the same file, known to the runtime's poller, so that
// closing it wakes its readers and writers. It closes the one given.
func pollable(file *os.File) *os.File {
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return file
	}
	_ = unix.SetNonblock(fd, true)
	file.Close()
	return os.NewFile(uintptr(fd), "stream")
}

// feed copies the operator's input. At its end a pipe is closed; a terminal
// stays, as its other direction does. A read that blocks outlives the command.
func (p *pump) feed(to *os.File, s backend.Stdio) {
	if s.In != nil {
		_, _ = io.Copy(to, s.In)
	}
	if !s.Terminal {
		to.Close()
	}
}

func (p *pump) drain(from *os.File, to io.Writer) {
	if to == nil {
		to = io.Discard
	}
	p.output.Go(func() {
		if _, err := io.Copy(to, from); err != nil {
			_, _ = io.Copy(io.Discard, from) // the operator's side is gone; the command must not block
		}
	})
}

// watch passes on window sizes and signals until the command has ended.
func (p *pump) watch(s backend.Stdio, send func(number int)) {
	resize, signals := s.Resize, s.Signals
	for {
		select {
		case <-p.ended:
			return
		case size, ok := <-resize:
			if !ok {
				resize = nil
				continue
			}
			if s.Terminal {
				setSize(p.files[0], size)
			}
		case sig, ok := <-signals:
			if !ok {
				signals = nil
				continue
			}
			if number, ok := sig.(unix.Signal); ok {
				send(int(number))
			}
		}
	}
}

func setSize(terminal *os.File, size backend.Size) {
	raw, err := terminal.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Cols})
	})
}

// finish returns when all output has been delivered; with bounded set, after
// a while also when something still holds the streams.
func (p *pump) finish(bounded bool) {
	close(p.ended)
	done := make(chan struct{})
	go func() {
		p.output.Wait()
		close(done)
	}()
	var timeout <-chan time.Time
	if bounded {
		timer := time.NewTimer(afterExit)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-done:
	case <-timeout:
	}
	for _, file := range p.files {
		file.Close()
	}
}
