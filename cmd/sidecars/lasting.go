package main

import (
	"net"
	"sync"
	"time"
)

// lasting is a listener that outlives its role's death. A role closes its
// listeners whenever it returns; the socket must stay open for the role's next
// life, and meanwhile clients wait in its queue instead of being refused.
type lasting struct {
	deadlineListener

	mu    sync.Mutex
	life  int // counts revivals
	open  bool
	final bool // the next Close is the real one
}

type deadlineListener interface {
	net.Listener
	SetDeadline(time.Time) error
}

func newLasting(l deadlineListener) *lasting { return &lasting{deadlineListener: l, open: true} }

// revive makes the listener accept again after a Close.
func (l *lasting) revive() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.life++
	l.open = true
	l.SetDeadline(time.Time{})
}

// Accept waits for a connection of the present life.
func (l *lasting) Accept() (net.Conn, error) {
	life, open := l.state()
	if !open {
		return nil, net.ErrClosed
	}
	conn, err := l.deadlineListener.Accept()
	if now, open := l.state(); now != life || !open {
		if err == nil {
			conn.Close()
		}
		return nil, net.ErrClosed
	}
	return conn, err
}

func (l *lasting) state() (life int, open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.life, l.open
}

// Close ends the present life and wakes its Accept.
func (l *lasting) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = false
	if l.final {
		return l.deadlineListener.Close()
	}
	return l.SetDeadline(time.Unix(1, 0))
}

// finish makes the next Close the real one, and is it when the present life is
// over already.
func (l *lasting) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.final = true
	if !l.open {
		l.deadlineListener.Close()
	}
}
