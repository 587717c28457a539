package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

var zeroTime time.Time

// maxNotes is how long an operator's words to an agent may be.
const maxNotes = 2000

// Approve applies a proposal's rule, makes sure that it is in force, and tells
// the agent. review is that of the proposal that the operator saw; another one
// is ErrReview. On an error nothing is changed and nothing is answered.
func (o *Operator) Approve(ctx context.Context, id, review string, t Terms) (Outcome, error) {
	return o.decide(ctx, "approve "+id, id, review, proposal.Approved, t, nil)
}

// Modify is Approve with a route of the operator's in place of the proposal's;
// where t is zero, an end that the route has counts. The agent is told the
// route. Other kinds than those of routes are ErrNothingToModify.
func (o *Operator) Modify(ctx context.Context, id, review string, route routes.Route, t Terms) (Outcome, error) {
	return o.decide(ctx, "modify "+id, id, review, proposal.Modified, t, &route)
}

// Reject answers a proposal with the operator's reason; nothing is changed.
func (o *Operator) Reject(ctx context.Context, id, review, reason string) (Outcome, error) {
	return o.decide(ctx, "reject "+id, id, review, proposal.Rejected, Terms{Notes: reason}, nil)
}

// decide answers one proposal.
func (o *Operator) decide(ctx context.Context, what, id, review string, status proposal.Status, t Terms, route *routes.Route) (Outcome, error) {
	unlock, err := o.lock(ctx)
	if err != nil {
		return Outcome{}, err
	}
	defer unlock()
	if _, err := o.recover(ctx); err != nil {
		return Outcome{}, err
	}
	q, err := o.queue()
	if err != nil {
		return Outcome{}, err
	}
	defer q.Close()
	e, err := q.Get(id)
	switch {
	case err != nil:
		return Outcome{}, err
	case e.Review != review:
		return Outcome{}, fmt.Errorf("%s: %w", id, ErrReview)
	case e.Response != nil:
		return Outcome{}, fmt.Errorf("%s: %w: %s", id, proposal.ErrAnswered, e.Response.Status)
	}
	if err := q.RollBack(id); err != nil { // of a decision that no operator is making
		return Outcome{}, err
	}
	j := &journal{What: what, Kind: e.Kind, Rule: e.Rule, Decision: &proposal.Response{
		ProposalID: id, Review: review, Status: status, Notes: proposal.Clean(t.Notes, maxNotes),
		Decided: o.o.Now().UTC(), Operator: o.o.Name,
	}}
	if status != proposal.Rejected {
		if err := o.grant(ctx, j, e, t, route); err != nil {
			return Outcome{}, err
		}
	}
	report, err := o.commit(ctx, j, q)
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{
		Diff: unified(j.Before.Routes, j.After.Routes), Generation: report.Roles[egress].Generation, Response: j.Decision,
	}, nil
}

// grant fills in what an approval puts in force.
func (o *Operator) grant(ctx context.Context, j *journal, e proposal.Entry, t Terms, modified *routes.Route) error {
	r := Review{Entry: e}
	var l live
	var err error
	if changesRoutes(e.Kind) {
		if l, err = o.read(ctx); err != nil {
			return err
		}
	}
	if err := r.fill(l.table); err != nil {
		return err
	}
	if modified != nil {
		if r.Route == nil {
			return ErrNothingToModify
		}
		r.Route = modified
	}
	if err := o.setTerms(j.Decision, &r, t); err != nil {
		return err
	}
	if r.Route == nil && r.Finding == nil {
		return nil
	}
	edited, err := r.edit(l.Routes)
	if err != nil {
		return err
	}
	return l.plan(j, edited)
}

// setTerms puts the end of an approval where it is kept to: in the route, which
// egress ends by itself, or in the answer, which git-gate reads.
func (o *Operator) setTerms(d *proposal.Response, r *Review, t Terms) error {
	if t.Uses < 0 || t.For < 0 {
		return errors.New("an approval cannot last for less than nothing")
	}
	if r.Route == nil && r.Kind != proposal.GitPush && (t.Uses > 0 || t.For > 0) {
		return fmt.Errorf("%s: %w", r.Kind, ErrTerms)
	}
	d.Uses = t.Uses
	if t.For > 0 {
		// A whole second is what every file can hold.
		end := o.o.Now().Add(t.For).UTC().Truncate(time.Second)
		d.Expires = &end
	}
	if r.Route != nil {
		if d.Uses == 0 {
			d.Uses = r.Route.Uses
		}
		if d.Expires == nil && !r.Route.Expires.IsZero() {
			d.Expires = &r.Route.Expires
		}
		r.Route.Uses = d.Uses
		if d.Expires != nil {
			r.Route.Expires = *d.Expires
		}
		words := []string{"in force: " + describe(*r.Route)}
		if d.Notes != "" {
			words = append(words, d.Notes)
		}
		d.Notes = proposal.Clean(strings.Join(words, "; "), maxNotes)
	}
	return nil
}
