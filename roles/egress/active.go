package egress

import "sync"

// cuttable is a tunnel or an exchange.
type cuttable interface {
	// permitted reports whether the policy still allows it.
	permitted(*live) bool
	// cut ends it. It returns at once.
	cut(reason string)
}

// active is all that is open.
type active struct {
	mu  sync.Mutex
	all map[cuttable]struct{}
}

func (a *active) add(c cuttable) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = make(map[cuttable]struct{})
	}
	a.all[c] = struct{}{}
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

func (a *active) cutAll(reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for c := range a.all {
		c.cut(reason)
	}
}
