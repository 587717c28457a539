package main

import (
	"errors"
	"os"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/state"
)

// recordStart writes into the operator's log that a bottle was started.
func recordStart(home state.Home, p *plan.Plan) error {
	return record(home, p, "start", "allow", map[string]any{
		"bottle": p.Bottle, "agent": p.Agent, "workspace": p.Workspace, "hosts": p.Hosts,
	})
}

// recordEnd writes into the operator's log that a bottle ended, with the head
// of its own log, and ends the proposals that nobody answered.
func recordEnd(home state.Home, p *plan.Plan, code int) error {
	report, err := audit.Verify(p.State.Audit())
	detail := map[string]any{"code": code}
	if err == nil {
		detail["bundle_seq"], detail["bundle_hash"] = report.Seq, report.Hash
	}
	return errors.Join(record(home, p, "stop", "allow", detail), expireProposals(p))
}

func record(home state.Home, p *plan.Plan, action, decision string, detail map[string]any) error {
	return audit.AppendOnce(home.OperatorLog(), audit.Options{Slug: p.Slug},
		audit.Record{Actor: "operator", Action: action, Decision: decision, Detail: detail})
}

func expireProposals(p *plan.Plan) error {
	queue, err := proposal.Open(p.State.Queue(), p.Slug)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer queue.Close()
	_, err = queue.Expire(time.Now().Add(proposal.Lifetime), notesEnded)
	return err
}
