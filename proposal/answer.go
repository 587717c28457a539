package proposal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// pollInterval is how soon a waiter sees an answer. A look costs one lstat,
// which no kind of mount gets wrong.
const pollInterval = 100 * time.Millisecond

// Wait returns the answer to a proposal as soon as it is in force, or ctx's
// error. A broken or forged answer is reported and waited past.
func (q *Queue) Wait(ctx context.Context, id string) (Response, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		e, err := q.Get(id)
		if err != nil {
			return Response{}, err
		}
		if e.Response != nil {
			return *e.Response, nil
		}
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return Response{}, ctx.Err()
			case <-tick.C:
				waiting = q.has(id+proposalSuffix) && !q.has(id+responseSuffix)
			}
		}
	}
}

// Decide records what the operator's side is about to do about a proposal. Only
// one decision at a time can be on its way.
func (q *Queue) Decide(r Response) error {
	return q.exclusive(func() error {
		e, err := q.Get(r.ProposalID)
		if err != nil {
			return err
		}
		if err := r.verify(e.Proposal); err != nil {
			return err
		}
		switch {
		case e.Response != nil:
			return fmt.Errorf("%s: %w", e.ID, ErrAnswered)
		case e.Decision != nil:
			return fmt.Errorf("%s: %w", e.ID, ErrDecided)
		}
		if err := q.discard(e.ID + decisionSuffix); err != nil {
			return err
		}
		return q.write(e.ID+decisionSuffix, r)
	})
}

// Confirm makes the decision on a proposal known: it is in force.
func (q *Queue) Confirm(id string) error {
	return q.exclusive(func() error {
		e, err := q.Get(id)
		switch {
		case err != nil:
			return err
		case e.Response != nil:
			return fmt.Errorf("%s: %w", id, ErrAnswered)
		case e.Decision == nil:
			return fmt.Errorf("%s: no decision to confirm", id)
		}
		if err := q.discard(id + responseSuffix); err != nil {
			return err
		}
		return q.move(id+decisionSuffix, id+responseSuffix)
	})
}

// RollBack takes back a decision that was not confirmed; the proposal is open
// again. None there is no error.
func (q *Queue) RollBack(id string) error {
	if !ValidID(id) {
		return fmt.Errorf("%q: %w", Clean(id, 40), ErrUnknown)
	}
	return q.exclusive(func() error { return q.discard(id + decisionSuffix) })
}

// discard removes a file that is not, or no longer, what its name says.
func (q *Queue) discard(name string) error {
	if err := q.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return q.sync(".")
}

// Deliver moves an answered proposal to the archive, where Get still finds it.
// first runs before that, for an answer that was not delivered before; when it
// fails, so does Deliver and nothing moves.
func (q *Queue) Deliver(id string, first func(Entry) error) error {
	return q.exclusive(func() error {
		e, err := q.Get(id)
		switch {
		case err != nil:
			return err
		case e.Response == nil:
			return fmt.Errorf("%s: no answer to deliver", id)
		case !q.has(id + proposalSuffix):
			return nil
		}
		if err := first(e); err != nil {
			return err
		}
		return q.archive(id)
	})
}

// archive moves the proposal first: what a crash leaves behind is an answer
// beside an archived proposal, which entry finds and repair puts right.
func (q *Queue) archive(id string) error {
	if err := q.move(id+proposalSuffix, archiveDir+"/"+id+proposalSuffix); err != nil {
		return err
	}
	return q.move(id+responseSuffix, archiveDir+"/"+id+responseSuffix)
}

// repair finishes what a crash interrupted.
func (q *Queue) repair() error {
	return q.exclusive(func() error {
		names, err := q.list(".")
		if err != nil {
			return err
		}
		for _, name := range names {
			if strings.HasPrefix(name, tempPrefix) {
				err = errors.Join(err, q.root.Remove(name))
			}
			id, ok := strings.CutSuffix(name, responseSuffix)
			if ok && ValidID(id) && q.has(archiveDir+"/"+id+proposalSuffix) && !q.has(archiveDir+"/"+name) {
				err = errors.Join(err, q.move(name, archiveDir+"/"+name))
			}
		}
		return err
	})
}

// Lifetime is how long a proposal waits for an answer.
const Lifetime = 24 * time.Hour

// Expire answers every proposal filed before the given time as expired, unless
// a decision is on its way, and archives answers that nobody fetched since
// then. It returns the proposals that expired. The end of a bottle is
// Expire(the future).
func (q *Queue) Expire(before time.Time, notes string) (expired []Proposal, err error) {
	err = q.exclusive(func() error {
		entries, err := q.entries()
		if err != nil {
			return err
		}
		for _, e := range entries {
			switch {
			case e.Response != nil && e.Response.Decided.Before(before) && q.has(archiveDir):
				err = errors.Join(err, q.archive(e.ID))
			case e.Response == nil && e.Decision == nil && e.Created.Before(before):
				err = errors.Join(err, q.discard(e.ID+responseSuffix), q.write(e.ID+responseSuffix, Response{
					ProposalID: e.ID, Review: e.Review, Status: Expired,
					Notes: notes, Decided: q.o.Now().UTC(),
				}))
				expired = append(expired, e.Proposal)
			}
		}
		return err
	})
	return expired, err
}
