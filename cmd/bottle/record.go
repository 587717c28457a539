package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/state"
)

// recordStart writes into the operator's log that a bottle was started, and
// with what audit chain; the plan gets that line's hash for the bundle's chain.
func recordStart(home state.Home, p *plan.Plan) error { return recordBegin(home, p, "start") }

// recordRender does the same for a bottle that another program will start.
func recordRender(home state.Home, p *plan.Plan) error { return recordBegin(home, p, "render") }

func recordBegin(home state.Home, p *plan.Plan, action string) error {
	head, err := audit.LastHead(p.State.Audit())
	if err != nil {
		return err
	}
	detail := audit.AnchorBundle(map[string]any{
		"bottle": p.Bottle, "agent": p.Agent, "workspace": p.Workspace, "hosts": p.Hosts,
	}, head)
	options := audit.Options{Slug: p.Slug, OnHead: func(seq uint64, hash string) {
		p.OperatorHead = audit.Head{Seq: seq, Hash: hash}.String()
	}}
	return audit.AppendOnce(home.OperatorLog(), options, record(action, detail))
}

// recordEnd writes into the operator's log that a bottle ended, with the head
// of its own log, and ends the proposals that nobody answered.
func recordEnd(kept *anchors, code int) error {
	detail, err := kept.end(map[string]any{"code": code})
	p := kept.plan
	return errors.Join(err,
		audit.AppendOnce(kept.home.OperatorLog(), audit.Options{Slug: p.Slug}, record("stop", detail)),
		expireProposals(p))
}

// remove removes what a bottle left behind; that its audit log went with it is
// written into the operator's log.
func (a *app) remove(ctx context.Context, o orphan) error {
	home, err := a.dir()
	if err != nil {
		return err
	}
	existed := home.Exists(o.Slug)
	err = o.remove(ctx)
	if existed && !home.Exists(o.Slug) {
		err = errors.Join(err, audit.AppendOnce(home.OperatorLog(), audit.Options{Slug: o.Slug}, record(audit.RemovedAction, nil)))
	}
	return err
}

func record(action string, detail map[string]any) audit.Record {
	return audit.Record{Actor: "operator", Action: action, Decision: "allow", Detail: detail}
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
