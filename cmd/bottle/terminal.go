package main

import (
	"os"
	"os/signal"
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

// stdio connects this process's streams, signals and window size to a command
// in a bottle. At a terminal, terminal mode is raw until restore is called.
func stdio() (s backend.Stdio, restore func(), err error) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	s = backend.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Signals: signals}
	stop := func() { signal.Stop(signals) }
	if !onTerminal() {
		return s, stop, nil
	}

	old, err := term.MakeRaw(int(os.Stdin.Fd()))
	if err != nil {
		stop()
		return s, nil, err
	}
	s.Terminal = true
	winch := make(chan os.Signal, 1)
	signal.Notify(winch, syscall.SIGWINCH)
	winch <- syscall.SIGWINCH
	sizes := make(chan backend.Size, 1)
	s.Resize = sizes
	done := make(chan struct{})
	go watchSize(winch, sizes, done)
	return s, func() {
		close(done)
		signal.Stop(winch)
		stop()
		_ = term.Restore(int(os.Stdin.Fd()), old)
	}, nil
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
