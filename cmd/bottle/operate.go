package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/proposal"
)

// operator acts on a running bottle.
func (a *app) operator(ctx context.Context, slug string) (*control.Operator, error) {
	home, err := a.dir()
	if err != nil {
		return nil, err
	}
	bottle, _, err := a.open(ctx, slug)
	if err != nil {
		return nil, err
	}
	return control.For(bottle, control.Options{Home: home, Slug: slug}), nil
}

// running are the bottles that run.
func (a *app) running(ctx context.Context) ([]backend.Status, error) {
	backends, err := a.backends()
	if err != nil {
		return nil, err
	}
	var all []backend.Status
	for _, b := range backends {
		bottles, err := b.List(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range bottles {
			if s.State != "dead" {
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// finishOthers completes or takes back what a command that was killed left half
// done. It never keeps this command from its own work.
func (a *app) finishOthers(cmd *cobra.Command, _ []string) {
	home, err := a.dir()
	if err != nil {
		return
	}
	slugs, err := home.Slugs()
	if err != nil {
		return
	}
	for _, slug := range slugs {
		if !control.Unfinished(home.Dir(slug)) {
			continue
		}
		if o, err := a.operator(cmd.Context(), slug); err == nil {
			sayRecovered(slug)(o.Recover(cmd.Context()))
		}
	}
}

// waiting is one bottle's open proposal.
type waiting struct {
	slug string
	proposal.Entry
}

// waitingAll lists the open proposals of all running bottles.
func (a *app) waitingAll(ctx context.Context) ([]waiting, error) {
	home, err := a.dir()
	if err != nil {
		return nil, err
	}
	bottles, err := a.running(ctx)
	if err != nil {
		return nil, err
	}
	var all []waiting
	for _, s := range bottles {
		entries, problems, err := control.Waiting(home.Dir(s.Slug))
		if err != nil {
			say("%s: %s", s.Slug, proposal.Clean(err.Error(), 300))
			continue
		}
		sayQueueProblems(s.Slug, problems)
		for _, e := range entries {
			all = append(all, waiting{s.Slug, e})
		}
	}
	return all, nil
}

// find finds the bottle of a proposal, answered or not.
func (a *app) find(ctx context.Context, id, slug string) (found string, o *control.Operator, err error) {
	if !proposal.ValidID(id) {
		return "", nil, errNoProposal(id)
	}
	if slug != "" {
		o, err := a.operator(ctx, slug)
		return slug, o, err
	}
	home, err := a.dir()
	if err != nil {
		return "", nil, err
	}
	bottles, err := a.running(ctx)
	if err != nil {
		return "", nil, err
	}
	for _, s := range bottles {
		if !control.Has(home.Dir(s.Slug), id) {
			continue
		}
		if found != "" {
			return "", nil, errTwoProposals(id, found, s.Slug)
		}
		found = s.Slug
	}
	if found == "" {
		return "", nil, errNoProposal(id)
	}
	o, err = a.operator(ctx, found)
	return found, o, err
}

// interruptible is a context that a Ctrl-C ends, so that a change on its way is
// taken back before the program ends. The second one ends the program; then the
// next command takes back.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// printOutcome prints what a change did.
func (a *app) printOutcome(slug string, out control.Outcome) error {
	if a.json {
		return printJSON(map[string]any{"slug": slug, "diff": out.Diff, "generation": out.Generation, "response": out.Response})
	}
	fmt.Print(out.Diff)
	sayOutcome(slug, out)
	return nil
}
