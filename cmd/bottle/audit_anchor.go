package main

import (
	"errors"
	"sync"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

// anchorInterval is how often a running bottle's audit chain is looked at.
const anchorInterval = 500 * time.Millisecond

// anchors keeps heads of a running bottle's audit chains in the operator's: one
// when the bottle is up, one for every 1,000 lines, and, with or before the
// record of the bottle's end, the last. The bundle writes the chains and cannot
// write to the operator's: what it takes back later does not fit any more.
type anchors struct {
	home   state.Home
	plan   *plan.Plan
	chains []*anchoredChain // the bundle's first

	stop    chan struct{}
	stopped sync.WaitGroup

	owed []audit.Record
}

// anchoredChain is a chain that is followed.
type anchoredChain struct {
	role   string // whose it is; "" = the bundle's
	watch  *audit.Watch
	kept   uint64 // the newest line that is anchored; 0 = none
	broken error  // the chain is not what it was
}

func (c *anchoredChain) anchor(detail map[string]any, head audit.Head) map[string]any {
	if c.role == "" {
		return audit.AnchorBundle(detail, head)
	}
	return audit.AnchorRole(detail, c.role, head)
}

// keepAnchors begins. It must be ended.
func keepAnchors(home state.Home, p *plan.Plan) *anchors {
	a := &anchors{home: home, plan: p, chains: []*anchoredChain{{watch: audit.NewWatch(p.State.Audit())}}, stop: make(chan struct{})}
	for _, role := range state.LoneRoles {
		a.chains = append(a.chains, &anchoredChain{role: role, watch: audit.NewWatch(p.State.RoleAudit(role))})
	}
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
	for _, c := range a.chains {
		if c.broken == nil {
			a.follow(c)
		}
	}
}

func (a *anchors) follow(c *anchoredChain) {
	heads, err := c.watch.Poll()
	if err == nil && c.kept == 0 {
		var head audit.Head
		if head, err = c.watch.Head(); head.Seq > 0 {
			heads = append([]audit.Head{head}, heads...)
		}
	}
	for _, head := range heads {
		a.owe("kept", c.anchor(nil, head))
		c.kept = max(c.kept, head.Seq)
	}
	if c.broken = err; err != nil {
		detail := map[string]any{"error": err.Error()}
		if c.role != "" {
			detail["role"] = c.role
		}
		a.owe("broken", detail)
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

// end stops looking, keeps the last head of each chain, and adds that of the
// bundle's to the detail of the record of the bottle's end.
func (a *anchors) end(detail map[string]any) (map[string]any, error) {
	close(a.stop)
	a.stopped.Wait()
	a.look()
	var broken error
	for _, c := range a.chains {
		var head audit.Head
		if c.broken == nil {
			head, c.broken = c.watch.Head()
		}
		c.watch.Close()
		switch {
		case c.broken != nil:
			broken = errors.Join(broken, c.broken)
		case c.role == "":
			detail = c.anchor(detail, head)
		case head.Seq > c.kept:
			a.owe("kept", c.anchor(nil, head))
		}
	}
	if broken != nil {
		detail["audit_error"] = broken.Error()
		sayAuditBroken(broken)
	}
	return detail, a.settle()
}
