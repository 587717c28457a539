package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// Recover completes or takes back what a killed process left half done, and
// returns what it did in words; empty = there was nothing to do, or whoever
// changes the bottle is still at it. It also takes back decisions in the queue
// that no operator made.
func (o *Operator) Recover(ctx context.Context) (done string, err error) {
	unlock, err := o.tryLock()
	if unlock == nil || err != nil {
		return "", err
	}
	defer unlock()
	if done, err = o.recover(ctx); err != nil {
		return "", err
	}
	return done, o.dropForged()
}

// recover is Recover's first half, for a caller that holds the lock.
func (o *Operator) recover(ctx context.Context) (done string, err error) {
	j, err := loadJournal(o.dir)
	if j == nil || err != nil {
		return "", err
	}
	var q *proposal.Queue
	if j.Decision != nil {
		if q, err = o.queue(); err != nil {
			return "", err
		}
		defer q.Close()
		if answeredSo(q, *j.Decision) {
			return "completed: " + j.What, j.remove(o.dir)
		}
	}
	if j.After.Routes != nil {
		if _, err := o.health(ctx); err != nil {
			return "", fmt.Errorf("%s was interrupted and waits until the bundle answers: %w", j.What, err)
		}
		ours, err := o.untouched(ctx, j)
		if err != nil {
			return "", err
		}
		if !ours {
			return "given up, because the files were edited since: " + j.What, o.abandon(j, q)
		}
	}
	if cause := o.overtaken(j, q); cause != nil {
		err := o.takeBack(ctx, j, q, cause)
		if Unfinished(o.dir) {
			return "", err
		}
		return fmt.Sprintf("taken back: %s: %v", j.What, cause), nil
	}
	if _, err := o.finish(ctx, j, q); err != nil {
		if Unfinished(o.dir) {
			return "", err
		}
		return fmt.Sprintf("taken back: %s: %v", j.What, err), nil
	}
	return "completed: " + j.What, nil
}

// overtaken says why a change must not be completed; nil when it can.
func (o *Operator) overtaken(j *journal, q *proposal.Queue) error {
	if j.Undo {
		return errors.New("it had failed")
	}
	if j.Decision == nil {
		return nil
	}
	e, err := q.Get(j.Decision.ProposalID)
	switch {
	case err != nil:
		return err
	case e.Response != nil:
		return fmt.Errorf("%s: %w", e.ID, proposal.ErrAnswered)
	case e.Review != j.Decision.Review:
		return ErrReview
	case j.Decision.Expires != nil && !o.o.Now().Before(*j.Decision.Expires):
		return errors.New("its time is over")
	}
	// What the queue says was decided may not be what was.
	return errors.Join(q.RollBack(e.ID), q.Decide(*j.Decision))
}

// untouched tells whether nobody but the interrupted change wrote the files. A
// file that cannot be parsed is one that was written in half.
func (o *Operator) untouched(ctx context.Context, j *journal) (bool, error) {
	got, err := o.bottle.ReadFile(ctx, o.routesName())
	if err != nil {
		return false, err
	}
	text := string(got)
	_, broken := routes.Parse(got)
	return broken != nil || text == string(j.Before.Routes) || text == string(j.After.Routes), nil
}

// abandon forgets a change without touching the files.
func (o *Operator) abandon(j *journal, q *proposal.Queue) error {
	detail := j.detail()
	detail["error"] = "the files were edited since"
	failed := []error{o.record("change", "given up", detail)}
	if q != nil {
		failed = append(failed, q.RollBack(j.Decision.ProposalID))
	}
	return errors.Join(append(failed, j.remove(o.dir))...)
}

// dropForged takes back decisions that stand in no journal. The caller holds
// the lock, so no other operator is about to carry one out.
func (o *Operator) dropForged() error {
	q, err := o.queue()
	if errors.Is(err, errNoQueue) {
		return nil
	}
	if err != nil {
		return err
	}
	defer q.Close()
	entries, _, err := q.List()
	if err != nil {
		return err
	}
	var failed []error
	for _, e := range entries {
		if e.Decision != nil && e.Response == nil {
			failed = append(failed, q.RollBack(e.ID), o.record("decision", "taken back",
				map[string]any{"proposal": e.ID, "error": "no operator made it, or none who finished"}))
		}
	}
	return errors.Join(failed...)
}
