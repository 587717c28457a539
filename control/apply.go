package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/claude-bottle/claude-bottle/health"
)

// apply takes the steps one after the other; each must be in force before the
// next. It returns the last report.
func (o *Operator) apply(ctx context.Context, j *journal) (health.Report, error) {
	var last health.Report
	for _, s := range o.steps(j) {
		before, err := o.health(ctx)
		if err != nil {
			return last, err
		}
		if err := o.put(ctx, s); err != nil {
			return last, err
		}
		if last, err = o.await(ctx, s, before.Roles[s.role]); err != nil {
			return last, err
		}
	}
	return last, nil
}

// put writes a file, reads it back and signals.
func (o *Operator) put(ctx context.Context, s step) error {
	if err := o.bottle.WriteFile(ctx, s.file, s.content); err != nil {
		return fmt.Errorf("writing %s: %w", s.file, err)
	}
	o.reached("written " + s.role)
	got, err := o.bottle.ReadFile(ctx, s.file)
	if err != nil {
		return fmt.Errorf("reading %s back: %w", s.file, err)
	}
	if !bytes.Equal(got, s.content) {
		return fmt.Errorf("%s is not what was written: is somebody else writing it?", s.file)
	}
	if err := o.bottle.Signal(ctx, s.signal); err != nil {
		return fmt.Errorf("telling the bundle of the new %s: %w", s.file, err)
	}
	o.reached("signalled " + s.role)
	return nil
}

// await returns when the role runs on exactly the step's file. It fails as soon
// as the role refuses it; before is what the role told before the signal.
func (o *Operator) await(ctx context.Context, s step, before health.RoleReport) (health.Report, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.o.Confirm, fmt.Errorf("%s did not put it in force within %s", s.role, o.o.Confirm))
	defer cancel()
	want := digest(s.content)
	for {
		report, err := o.health(ctx)
		role, selected := report.Roles[s.role]
		switch {
		case err != nil: // it may be starting again, on the new file
		case !selected:
			return report, fmt.Errorf("the bundle has no role %s any more", s.role)
		case role.ConfigSHA256 == want && role.State == health.Ready:
			o.reached("confirmed " + s.role)
			return report, nil
		case role.LastError != "" && (role.LastError != before.LastError || role.Refusals != before.Refusals):
			return report, fmt.Errorf("%s refused it: %s", s.role, role.LastError)
		}
		select {
		case <-ctx.Done():
			return report, errors.Join(context.Cause(ctx), err)
		case <-time.After(healthPoll):
		}
	}
}

// undoWait is how long taking back may last, whatever ended the change.
const undoWait = 30 * time.Second

// undo puts the files of before in force again: egress first, because the
// firewall may allow more than before until then. It goes on after a failure, so
// that the files are those of before even when nobody answers.
func (o *Operator) undo(ctx context.Context, j *journal) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoWait)
	defer cancel()
	j.Undo = true
	failed := []error{j.save(o.dir)}
	touched := make(map[string]bool)
	for _, s := range o.steps(j) {
		touched[s.role] = true
	}
	for _, s := range []step{o.routesStep(j.Before.Routes), o.pipelockStep(j.Before.Pipelock)} {
		if touched[s.role] && s.content != nil {
			failed = append(failed, o.restore(ctx, s))
		}
	}
	return errors.Join(failed...)
}

// restore puts an old file back and has it read again, so that no reading of
// the new one that is still on its way has the last word.
func (o *Operator) restore(ctx context.Context, s step) error {
	before, healthErr := o.health(ctx)
	if err := o.put(ctx, s); err != nil {
		return err
	}
	if healthErr != nil {
		return fmt.Errorf("%s is as it was before, but the bundle does not answer: %w", s.file, healthErr)
	}
	old := before.Roles[s.role]
	patience := time.Now().Add(undoWait / 3)
	for {
		report, err := o.health(ctx)
		role := report.Roles[s.role]
		same := err == nil && role.ConfigSHA256 == digest(s.content)
		// Read anew; or a bundle that started anew, which counts from one.
		if same && role.State == health.Ready && (role.Generation != old.Generation || time.Now().After(patience)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is as it was before, but %s does not confirm it%s", s.file, s.role, because(role))
		case <-time.After(healthPoll):
		}
	}
}
