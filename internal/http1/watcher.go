package http1

import (
	"errors"
	"os"
	"sync"
	"time"
)

// watcher ends a connection's context when the client leaves while a request is
// served. It reads from the connection, so it begins when the request was read
// whole.
type watcher struct {
	mu      sync.Mutex
	serving bool
	since   time.Time // when the request was read whole; zero = it is not yet
	// timer leads to check; it is left running from one request to the next.
	timer   *time.Timer
	running bool
	reading chan struct{} // closed when the read under way is over; nil = none is
}

func (w *watcher) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serving, w.since = true, time.Time{}
}

// arm makes the watcher look after a while.
func (w *watcher) arm(k *serverConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.serving {
		return
	}
	w.since = time.Now()
	switch {
	case w.running:
	case w.timer == nil:
		w.timer = time.AfterFunc(watchDelay, func() { w.check(k) })
	default:
		w.timer.Reset(watchDelay)
	}
	w.running = true
}

// check looks whether the client left when the request takes long.
func (w *watcher) check(k *serverConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = false
	if !w.serving || w.since.IsZero() || w.reading != nil {
		return
	}
	if wait := watchDelay - time.Since(w.since); wait > 0 {
		w.running = true
		w.timer.Reset(wait)
		return
	}
	k.readUntil(time.Time{})
	w.reading = make(chan struct{})
	go look(k, w.reading)
}

// look waits until the client leaves, sends something more, or the request is
// over.
func look(k *serverConn, over chan<- struct{}) {
	defer close(over)
	if n := k.r.Buffered(); n < k.r.Size() {
		if _, err := k.r.Peek(n + 1); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			k.cancel()
		}
	}
}

// end returns when nobody reads from the connection any more.
func (w *watcher) end(k *serverConn) {
	w.mu.Lock()
	w.serving = false
	reading := w.reading
	w.reading = nil
	w.mu.Unlock()
	if reading != nil {
		k.readUntil(past)
		<-reading
	}
}
