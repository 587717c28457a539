package egress

import (
	"sync"
	"sync/atomic"
)

// cuttable is a tunnel or an exchange.
type cuttable interface {
	// permitted reports whether the policy still allows it.
	permitted(*live) bool
	// cut ends it. It returns at once.
	cut(reason string)
}

// ending is why the policy ended a tunnel or an exchange. It is told before
// anything is closed, so that whoever notices the end knows its reason.
type ending struct{ reason atomic.Pointer[string] }

// tell keeps the first reason.
func (e *ending) tell(reason string) { e.reason.CompareAndSwap(nil, &reason) }

// told is the reason; "" is none.
func (e *ending) told() string {
	if reason := e.reason.Load(); reason != nil {
		return *reason
	}
	return ""
}

// active is all that is open.
type active struct {
	mu       sync.Mutex
	all      map[cuttable]struct{}
	over     string // why what comes is cut at once; "" = it is not
	handlers int
	idle     chan struct{} // closed when no handler is left; nil = nobody waits
}

func (a *active) add(c cuttable) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = make(map[cuttable]struct{})
	}
	a.all[c] = struct{}{}
	if a.over != "" {
		c.cut(a.over)
	}
}

// remove forgets c; after it returned, c is not cut any more.
func (a *active) remove(c cuttable) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.all, c)
}

// cut ends c if it is still open.
func (a *active) cut(c cuttable, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.all[c]; ok {
		c.cut(reason)
	}
}

// review cuts what l does not allow.
func (a *active) review(l *live) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for c := range a.all {
		if !c.permitted(l) {
			c.cut("the routes changed and no longer allow this")
		}
	}
}

// begin lets things be open again after stop.
func (a *active) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = ""
}

// stop cuts all that is open and all that comes.
func (a *active) stop(reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = reason
	for c := range a.all {
		c.cut(reason)
	}
}

// enter counts a handler in.
func (a *active) enter() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.handlers++
}

// leave counts it out.
func (a *active) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.handlers--; a.handlers == 0 && a.idle != nil {
		close(a.idle)
		a.idle = nil
	}
}

// left is closed when no handler is left.
func (a *active) left() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	idle := make(chan struct{})
	if a.handlers == 0 {
		close(idle)
	} else {
		a.idle = idle
	}
	return idle
}
