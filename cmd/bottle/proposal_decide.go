package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/state"
)

// decision are the flags that decisions share.
type decision struct {
	slug, review, notes string
	once, save, yes     bool
	lasts               time.Duration
}

func (d *decision) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.slug, "slug", "", flagSlug)
	cmd.Flags().StringVar(&d.review, "review", "", flagReview)
}

// granting are the flags of decisions that grant something.
func (d *decision) granting(cmd *cobra.Command) {
	d.flags(cmd)
	cmd.Flags().BoolVar(&d.once, "once", false, flagOnce)
	cmd.Flags().DurationVar(&d.lasts, "for", 0, flagFor)
	cmd.Flags().BoolVar(&d.save, "save", false, flagSave)
	cmd.Flags().BoolVarP(&d.yes, "yes", "y", false, flagDecideYes)
	cmd.Flags().StringVar(&d.notes, "notes", "", flagNotes)
	cmd.MarkFlagsMutuallyExclusive("once", "for", "save")
}

func (d *decision) terms(cmd *cobra.Command) (control.Terms, error) {
	if cmd.Flags().Changed("for") && d.lasts <= 0 {
		return control.Terms{}, errNoTime
	}
	t := control.Terms{For: d.lasts, Notes: d.notes}
	if d.once {
		t.Uses = 1
	}
	return t, nil
}

func newApprove(a *app) *cobra.Command {
	var d decision
	cmd := &cobra.Command{Use: "approve ID", Short: approveShort, Long: approveLong, Args: cobra.ExactArgs(1)}
	d.granting(cmd)
	a.jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		t, err := d.terms(cmd)
		if err != nil {
			return err
		}
		slug, o, r, err := a.look(ctx, &d, args[0])
		if err != nil {
			return err
		}
		if ok, err := a.sure(ctx, &d, o, slug, r, t); err != nil || !ok {
			return err
		}
		var saving *control.Saving
		if d.save {
			if r.Route == nil {
				return errNothingToSave
			}
			if saving, err = a.prepareSave(ctx, &d, slug, *r.Route); saving == nil || err != nil {
				return err
			}
		}
		ctx, stop := interruptible(ctx)
		defer stop()
		out, err := o.Approve(ctx, r.ID, d.review, t)
		if err != nil {
			return explainDecision(err)
		}
		return errors.Join(a.printOutcome(slug, out), write(saving))
	}
	return cmd
}

func newReject(a *app) *cobra.Command {
	var d decision
	cmd := &cobra.Command{Use: "reject ID REASON...", Short: rejectShort, Args: cobra.MinimumNArgs(2)}
	d.flags(cmd)
	a.jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		slug, o, err := a.find(cmd.Context(), args[0], d.slug)
		if err != nil {
			return err
		}
		if d.review == "" {
			if d.review, err = o.Seen(args[0]); err != nil {
				return err
			}
		}
		ctx, stop := interruptible(cmd.Context())
		defer stop()
		out, err := o.Reject(ctx, args[0], d.review, strings.Join(args[1:], " "))
		if err != nil {
			return explainDecision(err)
		}
		return a.printOutcome(slug, out)
	}
	return cmd
}

// look reads a proposal and makes sure that it is the one that was shown: by
// --review, or by `bottle proposals show`.
func (a *app) look(ctx context.Context, d *decision, id string) (string, *control.Operator, control.Review, error) {
	slug, o, err := a.find(ctx, id, d.slug)
	if err != nil {
		return "", nil, control.Review{}, err
	}
	r, err := o.Review(ctx, id)
	if err != nil {
		return "", nil, control.Review{}, err
	}
	if d.review == "" {
		if d.review, err = o.Seen(id); err != nil {
			return "", nil, control.Review{}, err
		}
	}
	return slug, o, r, nil
}

// sure shows at a terminal what was not shown in full yet, and asks.
func (a *app) sure(ctx context.Context, d *decision, o *control.Operator, slug string, r control.Review, t control.Terms) (bool, error) {
	if d.yes || !onTerminal() || o.WasShown(r.ID) {
		return true, nil
	}
	judged, err := a.replayed(slug, r)
	if err != nil {
		return false, err
	}
	if err := printReview(slug, r, judged); err != nil {
		return false, err
	}
	d.review = r.Proposal.Review
	return confirm(ctx, askApprove(r, t))
}

// prepareSave shows the difference of the bottle file and asks for a yes; nil
// when it is no.
func (a *app) prepareSave(ctx context.Context, d *decision, slug string, r routes.Route) (*control.Saving, error) {
	home, err := a.dir()
	if err != nil {
		return nil, err
	}
	saving, err := saveFor(home, slug, r)
	if err != nil {
		return nil, err
	}
	fmt.Print(saving.Diff())
	if d.yes {
		return saving, nil
	}
	if !onTerminal() {
		return nil, errSaveNeedsYes
	}
	if ok, err := confirm(ctx, askSave(saving.Path)); !ok || err != nil {
		return nil, err
	}
	return saving, nil
}

func saveFor(home state.Home, slug string, r routes.Route) (*control.Saving, error) {
	p, err := plan.Read(home.Dir(slug))
	if err != nil {
		return nil, err
	}
	return control.Save(home, p.Bottle, r)
}

// write writes what was prepared; nil is nothing.
func write(saving *control.Saving) error {
	if saving == nil {
		return nil
	}
	if err := saving.Write(); err != nil {
		return errNotSaved(err)
	}
	say("wrote %s", saving.Path)
	return nil
}
