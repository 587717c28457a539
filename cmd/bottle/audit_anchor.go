package main

import (
	"sync"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

// anchorInterval is how often a running bottle's audit chain is looked at.
const anchorInterval = 500 * time.Millisecond

// anchors keeps heads of a running bottle's audit chain in the operator's: one
// when the bottle is up, one for every 1,000 lines, and, with the record of the
// bottle's end, the last. The bundle writes the chain and cannot write to the
// operator's: what it takes back later does not fit any more.
type anchors struct {
	home  state.Home
	plan  *plan.Plan
	watch *audit.Watch

	stop    chan struct{}
	stopped sync.WaitGroup

	begun  bool // the first head is kept
	owed   []audit.Record
	broken error // the chain is not what it was
}

// keepAnchors begins. It must be ended.
func keepAnchors(home state.Home, p *plan.Plan) *anchors {
	a := &anchors{home: home, plan: p, watch: audit.NewWatch(p.State.Audit()), stop: make(chan struct{})}
	a.stopped.Go(func() {
		tick := time.NewTicker(anchorInterval)
		defer tick.Stop()
		for {
			select {
			case <-a.stop:
				return
			case <-tick.C:
				a.look()
				_ = a.settle() // what cannot be written now is owed
			}
		}
	})
	return a
}

// look reads what the bundle added.
func (a *anchors) look() {
	if a.broken != nil {
		return
	}
	heads, err := a.watch.Poll()
	if err == nil && !a.begun {
		var head audit.Head
		if head, err = a.watch.Head(); head.Seq > 0 {
			heads, a.begun = append([]audit.Head{head}, heads...), true
		}
	}
	for _, head := range heads {
		a.owe("kept", audit.AnchorBundle(nil, head))
	}
	if a.broken = err; err != nil {
		a.owe("broken", map[string]any{"error": err.Error()})
	}
}

func (a *anchors) owe(decision string, detail map[string]any) {
	a.owed = append(a.owed, audit.Record{Actor: "operator", Action: "anchor", Decision: decision, Detail: detail})
}

// settle writes what is owed.
func (a *anchors) settle() error {
	if len(a.owed) == 0 {
		return nil
	}
	if err := audit.AppendOnce(a.home.OperatorLog(), audit.Options{Slug: a.plan.Slug}, a.owed...); err != nil {
		return err
	}
	a.owed = nil
	return nil
}

// end stops looking and adds the last head to the detail of the record of the
// bottle's end.
func (a *anchors) end(detail map[string]any) (map[string]any, error) {
	close(a.stop)
	a.stopped.Wait()
	defer a.watch.Close()
	a.look()
	err := a.settle()
	if a.broken == nil {
		head, headErr := a.watch.Head()
		if headErr == nil {
			return audit.AnchorBundle(detail, head), err
		}
		a.broken = headErr
	}
	detail["audit_error"] = a.broken.Error()
	sayAuditBroken(a.broken)
	return detail, err
}
