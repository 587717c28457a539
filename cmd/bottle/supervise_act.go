package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/claude-bottle/claude-bottle/cmd/bottle/tui"
	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// terms are what control is told of how long an approval holds.
func terms(t tui.Term) control.Terms {
	c := control.Terms{For: t.For}
	if t.Once {
		c.Uses = 1
	}
	return c
}

// granted is the route that an act puts in force, without its end in time; nil
// when the proposal's kind adds none.
func granted(a tui.Act, r control.Review) (*routes.Route, error) {
	route := r.Route
	if a.Verdict == tui.Modify {
		if route == nil {
			return nil, control.ErrNothingToModify
		}
		var err error
		if route, err = oneRoute(a.Rule); err != nil {
			return nil, err
		}
	}
	return route, nil
}

// Preview implements tui.Desk.
func (d *desk) Preview(ctx context.Context, a tui.Act) (tui.Preview, error) {
	r, o, err := d.review(ctx, a.Slug, a.ID)
	if err != nil {
		return tui.Preview{}, err
	}
	if r.Proposal.Review != a.Review {
		return tui.Preview{}, explainAct(control.ErrReview)
	}
	route, err := granted(a, r)
	if err != nil {
		return tui.Preview{}, err
	}
	if route == nil {
		detail, err := d.Show(ctx, a.Slug, a.ID)
		return tui.Preview{Host: detail.Host, Rule: detail.Rule, Diff: detail.Diff}, err
	}
	return d.previewRoute(ctx, a, o, *route)
}

// previewRoute compares the live routes with those that the act would leave.
// An end in time is told by the term, to the second.
func (d *desk) previewRoute(ctx context.Context, a tui.Act, o *control.Operator, route routes.Route) (tui.Preview, error) {
	rule, err := ruleLines(route)
	if err != nil {
		return tui.Preview{}, err
	}
	before, err := o.Routes(ctx)
	if err != nil {
		return tui.Preview{}, err
	}
	added := route
	added.Grant = a.ID
	if a.Term.Once {
		added.Uses = 1
	}
	after, err := routes.Append(before, added)
	if err != nil {
		return tui.Preview{}, err
	}
	p := tui.Preview{Host: route.Host, Rule: rule, Diff: diffLines(control.Diff("", before, "", after))}
	if a.Term.Save {
		saving, err := saveFor(d.home, a.Slug, route)
		if err != nil {
			return tui.Preview{}, err
		}
		p.SavePath, p.SaveDiff = saving.Path, diffLines(saving.Diff())
	}
	return p, nil
}

// Apply implements tui.Desk.
func (d *desk) Apply(ctx context.Context, a tui.Act) (string, error) {
	r, o, err := d.review(ctx, a.Slug, a.ID)
	if err != nil {
		return "", err
	}
	if r.Proposal.Review != a.Review {
		return "", explainAct(control.ErrReview)
	}
	if a.Verdict == tui.Reject {
		_, err := o.Reject(ctx, a.ID, a.Review, a.Reason)
		return toldRejected(a.Slug, r.Host), explainAct(err)
	}
	route, err := granted(a, r)
	if err != nil {
		return "", err
	}
	var saving *control.Saving
	if a.Term.Save && route != nil {
		if saving, err = saveFor(d.home, a.Slug, *route); err != nil {
			return "", err
		}
	}
	if a.Verdict == tui.Modify {
		_, err = o.Modify(ctx, a.ID, a.Review, *route, terms(a.Term))
	} else {
		_, err = o.Approve(ctx, a.ID, a.Review, terms(a.Term))
	}
	if err != nil {
		return "", explainAct(err)
	}
	host := r.Host
	if route != nil {
		host = route.Host
	}
	told := toldInForce(a.Slug, host)
	if saving == nil {
		return told, nil
	}
	if err := saving.Write(); err != nil {
		return toldUnsaved(told, err), nil
	}
	return toldSaved(told, saving.Path), nil
}

// Revoke implements tui.Desk.
func (d *desk) Revoke(ctx context.Context, slug, grant string) (string, error) {
	o, err := d.app.operator(ctx, slug)
	if err != nil {
		return "", err
	}
	if _, err := o.Revoke(ctx, grant); err != nil {
		return "", err
	}
	return toldRevoked(slug, grant), nil
}

// maxEdited bounds what is read back from an editor.
const maxEdited = 1 << 20

// Edit implements tui.Desk.
func (d *desk) Edit(text []byte) (tui.Editing, error) {
	dir, err := os.MkdirTemp("", "bottle-edit-")
	if err != nil {
		return tui.Editing{}, err
	}
	path := filepath.Join(dir, "rule.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return tui.Editing{}, errors.Join(err, os.RemoveAll(dir))
	}
	return tui.Editing{
		Command: editorCommand(dir, path),
		Read: func() ([]byte, error) {
			edited, err := os.ReadFile(path)
			if err == nil && len(edited) > maxEdited {
				err = fmt.Errorf("%s is larger than %d bytes", path, maxEdited)
			}
			return edited, err
		},
		Done: func() error { return os.RemoveAll(dir) },
	}, nil
}

// editorCommand is the operator's editor on path, with nothing of the current
// folder, which may be an agent's workspace.
func editorCommand(dir, path string) *exec.Cmd {
	editors := []string{os.Getenv("VISUAL"), os.Getenv("EDITOR"), "vi"}
	editor := editors[slices.IndexFunc(editors, func(s string) bool { return s != "" })]
	cmd := exec.Command("/bin/sh", "-c", "exec "+editor+` "$1"`, "editor", path)
	cmd.Dir, cmd.Stderr = dir, os.Stdout
	return cmd
}
