package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/proposal"
)

// commit makes a change that was thought through: everything that can be found
// wrong without touching the bottle was. q is nil when no proposal is answered.
func (o *Operator) commit(ctx context.Context, j *journal, q *proposal.Queue) (health.Report, error) {
	j.Started = o.o.Now().UTC()
	if j.Decision != nil {
		if err := o.record("decision", string(j.Decision.Status), j.detail()); err != nil {
			return health.Report{}, err
		}
	}
	if err := j.save(o.dir); err != nil {
		return health.Report{}, errors.Join(err, o.recordTakenBack(j, err))
	}
	o.reached("written down")
	if j.Decision != nil {
		if err := q.Decide(*j.Decision); err != nil {
			return health.Report{}, errors.Join(err, o.recordTakenBack(j, err), j.remove(o.dir))
		}
		o.reached("decided")
	}
	return o.finish(ctx, j, q)
}

// finish carries out what the journal says, or takes it back.
func (o *Operator) finish(ctx context.Context, j *journal, q *proposal.Queue) (health.Report, error) {
	report, err := o.apply(ctx, j)
	if err == nil && j.After.Routes != nil {
		detail := j.detail()
		detail["generation"] = report.Roles[egress].Generation
		err = o.record("change", "in force", detail)
	}
	if err == nil && j.Decision != nil {
		err = confirm(q, *j.Decision)
		o.reached("answered")
	}
	if err != nil {
		return report, o.takeBack(ctx, j, q, err)
	}
	return report, j.remove(o.dir)
}

// confirm tells the agent. An answer that is there all the same counts.
func confirm(q *proposal.Queue, r proposal.Response) error {
	err := q.Confirm(r.ProposalID)
	if err != nil && answeredSo(q, r) {
		return nil
	}
	return err
}

// answeredSo tells whether r is the answer in force.
func answeredSo(q *proposal.Queue, r proposal.Response) bool {
	e, err := q.Get(r.ProposalID)
	return err == nil && e.Response != nil && e.Response.Status == r.Status && e.Response.Decided.Equal(r.Decided)
}

// takeBack restores all that a failed change touched. The journal goes only
// when the files are those of before.
func (o *Operator) takeBack(ctx context.Context, j *journal, q *proposal.Queue, cause error) error {
	var failed []error
	if j.After.Routes != nil {
		failed = append(failed, o.undo(ctx, j))
	}
	if q != nil {
		failed = append(failed, q.RollBack(j.Decision.ProposalID))
	}
	failed = append(failed, o.recordTakenBack(j, cause))
	if o.filesAre(ctx, j.Before) {
		failed = append(failed, j.remove(o.dir))
	} else {
		failed = append(failed, fmt.Errorf("the files of before are not back: they are kept in %s, and the next command tries again", journalPath(o.dir)))
	}
	if err := errors.Join(failed...); err != nil {
		return errors.Join(cause, err)
	}
	return fmt.Errorf("%w; all is as it was before", cause)
}

func (o *Operator) recordTakenBack(j *journal, cause error) error {
	detail := j.detail()
	detail["error"] = cause.Error()
	return o.record("change", "taken back", detail)
}

// filesAre tells whether the bottle's files are these.
func (o *Operator) filesAre(ctx context.Context, want files) bool {
	ctx = context.WithoutCancel(ctx)
	for name, content := range map[string][]byte{o.routesName(): want.Routes, o.pipelockName(): want.Pipelock} {
		if content == nil {
			continue
		}
		if got, err := o.bottle.ReadFile(ctx, name); err != nil || string(got) != string(content) {
			return false
		}
	}
	return true
}

// detail is what the audit log has of a change.
func (j *journal) detail() map[string]any {
	detail := map[string]any{"what": j.What}
	if d := j.Decision; d != nil {
		detail["proposal"], detail["review"], detail["status"] = d.ProposalID, d.Review, string(d.Status)
		detail["kind"], detail["rule"], detail["notes"] = string(j.Kind), j.Rule, d.Notes
		if d.Expires != nil {
			detail["expires"] = *d.Expires
		}
		if d.Uses > 0 {
			detail["uses"] = d.Uses
		}
	}
	if j.After.Routes != nil {
		detail["config_sha256"], detail["diff"] = digest(j.After.Routes), unified(j.Before.Routes, j.After.Routes)
	}
	return detail
}
