package pipelock

import (
	"context"
	"errors"
	"sync"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/health"
)

// replacement is the audited action that differs from a first start.
const replacement = "replace"

// keep fulfils replacements until ctx ends or the child dies.
func (r *Role) keep(ctx context.Context, current *child, dir string, all *sync.WaitGroup) error {
	old := newDrain(r.c.DrainLimit, r.c.RoomWait, r.c.StopGrace)
	for {
		select {
		case <-ctx.Done():
			r.withdraw()
			current.stop(r.c.StopGrace)
			r.audit("stop", current, nil)
			return nil
		case <-current.done:
			return r.mourn(current)
		case <-r.replace:
		}
		if ctx.Err() != nil {
			continue
		}
		next, err := r.successor(ctx, current, dir, old)
		if err == nil {
			if err = r.putInForce(next, replacement); err != nil {
				next.stop(r.c.StopGrace)
				old.release()
			}
		}
		switch {
		case err == nil:
			predecessor := current
			current = next
			if predecessor.dead() { // of itself, while its successor was put in its place
				r.c.Health.Crashed(predecessor.err)
			}
			all.Go(func() { r.finish(ctx, predecessor, old) })
		case ctx.Err() != nil:
		case current.dead():
			return r.mourn(current)
		case errors.Is(err, ErrPin):
			// Somebody exchanged the program; nothing here can be trusted.
			r.withdraw()
			current.stop(r.c.StopGrace)
			return errors.Join(err, r.record("stop", current, err))
		default:
			r.refuse(current, err)
		}
	}
}

// successor makes room for one more child and starts it. The death of the
// current child is told at once and ends the attempt.
func (r *Role) successor(ctx context.Context, current *child, dir string, old *drain) (*child, error) {
	var watch sync.WaitGroup
	defer watch.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch.Go(func() {
		select {
		case <-current.done:
			r.fail()
			cancel()
		case <-ctx.Done():
		}
	})
	if err := old.acquire(ctx, current); err != nil {
		return nil, err
	}
	next, err := r.launch(ctx, dir)
	if err != nil {
		old.release()
	}
	return next, err
}

// finish lets a replaced child end.
func (r *Role) finish(ctx context.Context, c *child, old *drain) {
	if died := old.finish(ctx, c); died {
		r.c.Log.Error("a replaced child died", "pid", c.pid, "error", c.err.Error())
		r.audit("death", c, c.err)
	}
	r.c.Log.Info("replaced child is gone", "pid", c.pid)
}

// mourn makes the death of the child in force known and returns it.
func (r *Role) mourn(c *child) error {
	r.fail()
	r.audit("death", c, c.err)
	return c.err
}

// fail tells at once, not only when Run returns, that there is no child.
func (r *Role) fail() {
	r.withdraw()
	r.c.Health.Set(health.Failed)
}

// putInForce sends new connections to c from now on.
func (r *Role) putInForce(c *child, action string) error {
	if err := r.record(action, c, nil); err != nil {
		return err
	}
	r.mu.Lock()
	if r.current != nil {
		r.current.retire()
	}
	r.current = c
	r.epoch++
	close(r.changed)
	r.changed = make(chan struct{})
	r.mu.Unlock()
	if action == replacement && r.c.OnReplace != nil {
		r.c.OnReplace()
	}

	r.c.Health.SetPID(c.pid)
	r.c.Health.InForce(c.sha256)
	r.c.Health.Set(health.Ready)
	r.c.Log.Info("child is ready", "action", action, "pid", c.pid, "config_sha256", c.sha256)
	return nil
}

// withdraw sends new connections nowhere.
func (r *Role) withdraw() {
	r.mu.Lock()
	r.current = nil
	r.mu.Unlock()
	r.c.Health.SetPID(0)
}

// refuse tells that the old child stays.
func (r *Role) refuse(current *child, err error) {
	err = errors.New(r.c.Scanner.Redact(err.Error()))
	r.c.Health.Refused(err)
	r.c.Log.Error("the old child stays in force", "pid", current.pid, "error", err.Error())
	r.audit(replacement, current, err)
}

// audit is record for what has happened anyway.
func (r *Role) audit(action string, c *child, failure error) {
	if err := r.record(action, c, failure); err != nil {
		r.c.Log.Error("not audited", "action", action, "error", err.Error())
	}
}

func (r *Role) record(action string, c *child, failure error) error {
	decision, detail := "ok", map[string]any{"pid": c.pid, "config_sha256": c.sha256}
	if failure != nil {
		decision, detail["error"] = "failed", failure.Error()
	}
	return r.c.Audit.Append(audit.Record{Actor: "pipelock", Action: action, Decision: decision, Detail: detail})
}
