package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

func newResume(a *app) *cobra.Command {
	var wanted string
	var detach bool
	cmd := &cobra.Command{Use: "resume SLUG [-- COMMAND...]", Short: resumeShort, Long: resumeLong, Args: cobra.MinimumNArgs(1)}
	cmd.Flags().StringVar(&wanted, "backend", "", flagBackend)
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, flagDetach)
	a.jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := a.resume(cmd.Context(), args[0], args[1:], wanted, detach)
		tellFailed(err)
		return err
	}
	return cmd
}

func (a *app) resume(ctx context.Context, slug string, command []string, wanted string, detach bool) error {
	home, err := a.dir()
	if err != nil {
		return err
	}
	if err := state.CheckSlug(slug); err != nil {
		return err
	}
	if _, _, err := a.open(ctx, slug); err == nil {
		return errStillRuns(slug)
	}
	old, err := plan.Read(home.Dir(slug))
	if err != nil {
		return errNothingToResume(slug, err)
	}
	if len(command) == 0 {
		command = old.Command
	}
	given, chosen := answers{}, newChoice(home, wanted)
	p, err := preparePlan(ctx, given, plan.Options{
		Home: home, Workspace: old.Workspace, Agent: old.Asked, Bottle: old.Bottle, Command: command, Resume: old,
		OwnPipelock: chosen.ownPipelock(ctx),
	})
	if err != nil {
		return explain(err)
	}
	b, err := chosen.backend(ctx, p.Backend)
	if err != nil {
		return err
	}
	again := withCommand([]string{"resume", "--home", string(home), "--backend", b.Name(), slug}, command)
	return a.launch(ctx, b, launch{home: home, plan: p, write: p.Rewrite, detach: detach, again: again, given: given})
}
