package pipelock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// dialPatience is how long a connection waits for a child to be ready.
	dialPatience = 2 * time.Second
	dialRetry    = 20 * time.Millisecond
)

// ErrNoChild is returned by Dial when no child became ready in time.
var ErrNoChild = errors.New("pipelock is not ready")

// Dial connects to the child that is in force. It waits up to two seconds for
// one and then fails: nothing may go around it. A replaced child lives on, up to
// DrainLimit, until the connections to it are closed.
func (r *Role) Dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, dialPatience, ErrNoChild)
	defer cancel()
	again := time.NewTicker(dialRetry)
	defer again.Stop()
	for {
		c, changed := r.take()
		if c != nil {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.address)
			if err == nil {
				return &counted{TCPConn: conn.(*net.TCPConn), release: sync.OnceFunc(c.release)}, nil
			}
			c.release()
		}
		select {
		case <-changed:
		case <-again.C: // a child that refuses is dying, or was too busy
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to pipelock: %w", context.Cause(ctx))
		}
	}
}

// take returns the child in force with one more connection counted, nil if
// there is none, and a channel that closes when that changes.
func (r *Role) take() (*child, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == nil {
		return nil, r.changed
	}
	r.current.mu.Lock()
	defer r.current.mu.Unlock()
	r.current.connections++
	return r.current, r.changed
}

// release gives back a connection.
func (c *child) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.connections--
	c.checkIdle()
}

// retire tells that no connection follows.
func (c *child) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	c.checkIdle()
}

// checkIdle runs at most once with a true outcome: after retire connections
// only fall.
func (c *child) checkIdle() {
	if c.retired && c.connections == 0 {
		close(c.idle)
	}
}

// counted is a connection to a child that counts until it is closed.
type counted struct {
	*net.TCPConn
	release func()
}

func (c *counted) Close() error {
	defer c.release()
	return c.TCPConn.Close()
}
