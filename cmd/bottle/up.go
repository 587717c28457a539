package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

// upFlags are the wishes of `bottle up`.
type upFlags struct {
	backend, bottle, label, workspace string
	detach, dryRun                    bool
}

// which gives a command the flags that say which bottle is meant.
func (f *upFlags) which(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.bottle, "bottle", "", flagBottle)
	cmd.Flags().StringVar(&f.label, "label", "", flagLabel)
	cmd.Flags().StringVar(&f.workspace, "workspace", ".", flagWorkspace)
}

func newUp(a *app) *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:     "up [AGENT] [-- COMMAND...]",
		Short:   upShort,
		Long:    upLong,
		Example: upExample,
		Args:    oneAgent,
	}
	cmd.Flags().StringVar(&f.backend, "backend", "", flagBackend)
	f.which(cmd)
	cmd.Flags().BoolVarP(&f.detach, "detach", "d", false, flagDetach)
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, flagDryRun)
	a.jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		agents, command := splitAtDash(cmd, args)
		agent := strings.Join(agents, "")
		err := a.up(cmd.Context(), f, agent, command)
		tellFailed(err)
		return err
	}
	return cmd
}

// oneAgent takes one argument at most before "--".
func oneAgent(cmd *cobra.Command, args []string) error {
	if agents, _ := splitAtDash(cmd, args); len(agents) > 1 {
		return errTooManyAgents(agents)
	}
	return nil
}

// splitAtDash separates what stands before "--" from the command after it.
func splitAtDash(cmd *cobra.Command, args []string) (before, after []string) {
	if at := cmd.ArgsLenAtDash(); at >= 0 {
		return args[:at], args[at:]
	}
	return args, nil
}

func (a *app) up(ctx context.Context, f upFlags, agent string, command []string) error {
	home, err := a.dir()
	if err != nil {
		return err
	}
	given := answers{}
	chosen := newChoice(home, f.backend)
	p, err := prepare(ctx, chosen, f, agent, command, given)
	if err != nil {
		return explain(err)
	}
	b, err := chosen.backend(ctx, p.Backend)
	if err != nil {
		return err
	}
	if f.dryRun {
		return a.printPlan(p, b.Name())
	}
	again := []string{"up", "--home", string(home), "--label", p.Slug, "--backend", b.Name(), "--bottle", p.Bottle, "--workspace", p.Workspace}
	if agent != "" {
		again = append(again, agent)
	}
	return a.launch(ctx, b, launch{
		home: home, plan: p, write: func() error { return p.Write(home) },
		detach: f.detach, again: withCommand(again, command), given: given,
	})
}

// launch is how a plan is to be started.
type launch struct {
	home  state.Home
	plan  *plan.Plan
	write func() error // lays the plan's files out
	// detach starts it in the background, as this program with the arguments
	// again; the background makes its own plan and is given the answers.
	detach bool
	again  []string
	given  answers
}

func withCommand(args, command []string) []string {
	if len(command) == 0 {
		return args
	}
	return append(append(args, "--"), command...)
}

// launch starts a bottle and returns when it has ended, or, detached, when it
// runs.
func (a *app) launch(ctx context.Context, b backend.Backend, l launch) error {
	if err := b.Available(ctx); err != nil {
		return err
	}
	p := l.plan
	if l.detach {
		if err := detach(l.again, l.given); err != nil {
			return err
		}
		return a.printSlug(p.Slug)
	}
	before := watch(p.Workspace)
	if err := l.write(); err != nil {
		return explain(err)
	}
	if isDetached() {
		if err := logToFile(p.State); err != nil {
			return err
		}
	}
	if err := errors.Join(before.save(p.State), recordStart(l.home, p)); err != nil {
		return err
	}
	kept := keepAnchors(l.home, p)
	code, err := runForeground(ctx, b, p)
	sayChanged(before.changes())
	if err := errors.Join(err, recordEnd(kept, code)); err != nil {
		return err
	}
	if code != 0 {
		return exitCode(code)
	}
	return nil
}

func (a *app) printSlug(slug string) error {
	if a.json {
		return printJSON(map[string]string{"slug": slug})
	}
	fmt.Println(slug)
	return nil
}

// prepare makes the plan from the operator's files and wishes.
func prepare(ctx context.Context, chosen *choice, f upFlags, agent string, command []string, given answers) (*plan.Plan, error) {
	workspace, err := filepath.Abs(f.workspace)
	if err != nil {
		return nil, err
	}
	return preparePlan(ctx, given, plan.Options{
		Home: chosen.home, Workspace: workspace, Agent: agent, Bottle: f.bottle, Label: f.label, Command: command,
		OwnPipelock: chosen.ownPipelock(ctx),
	})
}

// preparePlan makes the plan, with what this program adds to every one. Answers
// typed at the terminal are kept in given.
func preparePlan(ctx context.Context, given answers, options plan.Options) (*plan.Plan, error) {
	pin, err := pipelockPin(ctx)
	if err != nil {
		return nil, err
	}
	options.Term, options.PipelockSHA256 = os.Getenv("TERM"), pin
	switch {
	case isDetached():
		inherited, err := inheritedAnswers()
		if err != nil {
			return nil, err
		}
		options.Ask = inherited.find
	case onTerminal():
		options.Ask, options.Confirm = given.ask, confirm
	}
	return plan.Prepare(ctx, options)
}

// explain adds what to do to the errors of a plan.
func explain(err error) error {
	if errors.Is(err, state.ErrExists) {
		return withHint(err, hintStateExists)
	}
	return err
}
