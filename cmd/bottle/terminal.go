package main

import (
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/term"

	"github.com/claude-bottle/claude-bottle/backend"
)

// forwarded are the signals a command gets as if it ran without a bottle.
var forwarded = []os.Signal{
	syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
}

// onTerminal reports whether a person sits at both ends.
func onTerminal() bool {
	return term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
}

// console is what connects this process to a command in a bottle.
type console struct {
	// streams are this process's, with its signals and window size.
	streams backend.Stdio
	// raw makes the terminal, if there is one, the command's until restore is
	// called; the command's first output does it too. Before, Ctrl-C is this
	// program's.
	raw     func() error
	restore func()
}

func newConsole() *console {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	c := &console{
		streams: backend.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Signals: signals},
		raw:     func() error { return nil },
		restore: func() { signal.Stop(signals) },
	}
	if !onTerminal() {
		return c
	}
	winch := make(chan os.Signal, 1)
	signal.Notify(winch, syscall.SIGWINCH)
	winch <- syscall.SIGWINCH
	sizes := make(chan backend.Size, 1)
	c.streams.Terminal, c.streams.Resize = true, sizes
	done := make(chan struct{})
	go watchSize(winch, sizes, done)
	var once sync.Once
	var before *term.State
	c.raw = func() (err error) {
		once.Do(func() { before, err = term.MakeRaw(int(os.Stdin.Fd())) })
		return err
	}
	c.streams.Out = rawOutput{to: os.Stdout, raw: c.raw}
	c.restore = func() {
		close(done)
		signal.Stop(winch)
		signal.Stop(signals)
		once.Do(func() {}) // what is written from now on changes nothing
		if before != nil {
			_ = term.Restore(int(os.Stdin.Fd()), before)
		}
	}
	return c
}

// rawOutput is a command's output to a terminal. The terminal is raw when it
// comes, so that the terminal's answers to it are not echoed.
type rawOutput struct {
	to  io.Writer
	raw func() error
}

func (o rawOutput) Write(p []byte) (int, error) {
	if err := o.raw(); err != nil {
		return 0, err
	}
	return o.to.Write(p)
}

func watchSize(winch <-chan os.Signal, sizes chan<- backend.Size, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-winch:
		}
		cols, rows, err := term.GetSize(int(os.Stdout.Fd()))
		if err != nil {
			continue
		}
		select {
		case sizes <- backend.Size{Rows: uint16(rows), Cols: uint16(cols)}:
		case <-done:
			return
		}
	}
}
