package egress

import (
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// maxRequests bounds the requests that are open at a time; more are
	// answered with 503.
	maxRequests = 512
	// bodyIdle is how long the agent may send nothing of a body that the
	// origin has not begun to answer.
	bodyIdle = time.Minute
)

// patientBody is the agent's body, of which a read fails that waits too long.
type patientBody struct {
	io.ReadCloser
	end func() error // makes a read fail that is under way

	mu    sync.Mutex
	timer *time.Timer // nil = nothing was read yet
	// waiting: a read is under way. answered: it may take any time.
	waiting, answered, stalled bool
	idle                       time.Duration
}

// watch puts a patientBody before the exchange's. The request keeps its own,
// which net/http's server compares.
func (x *exchange) watch() {
	b := &patientBody{ReadCloser: x.in.Body, idle: x.role.bodyIdle}
	b.end = func() error { return http.NewResponseController(x.w).SetReadDeadline(time.Now()) }
	x.patient = b
}

func (b *patientBody) Read(p []byte) (int, error) {
	b.wait(true)
	defer b.wait(false)
	return b.ReadCloser.Read(p)
}

func (b *patientBody) wait(waiting bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = waiting
	switch {
	case !waiting || b.answered:
		b.rest()
	case b.timer == nil:
		b.timer = time.AfterFunc(b.idle, b.expire)
	default:
		b.timer.Reset(b.idle)
	}
}

// expire ends the read that took too long. After done returned it does nothing.
func (b *patientBody) expire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting && !b.answered {
		b.stalled = true
		_ = b.end()
	}
}

// done lets the body take its time from now on: the origin answers, or nobody
// waits for it any more.
func (b *patientBody) done() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answered = true
	b.rest()
}

// rest stops the clock; it needs the lock.
func (b *patientBody) rest() {
	if b.timer != nil {
		b.timer.Stop()
	}
}

// gaveUp reports whether a read took too long.
func (b *patientBody) gaveUp() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stalled
}

const reasonStalled = "the agent sent nothing of the body for too long"

// admit counts a request in; it answers one that is too many.
func (r *Role) admit(x *exchange) (ok bool) {
	select {
	case r.requests <- struct{}{}:
		return true
	default:
	}
	const reason = "too many requests are open at a time, let some of them end first"
	detail := detailOf(r.redacted(x.about()))
	detail["reason"] = reason
	_ = r.record("request", refused, detail)
	answerTrouble(x.w, http.StatusServiceUnavailable, "unavailable", x.authority.Host.String(), reason)
	return false
}
