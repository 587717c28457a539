package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/backend"
)

// open finds a running bottle by its slug, whichever backend runs it.
func (a *app) open(ctx context.Context, slug string) (backend.Bottle, backend.Status, error) {
	backends, err := a.backends()
	if err != nil {
		return nil, backend.Status{}, err
	}
	for _, b := range backends {
		bottles, err := b.List(ctx)
		if err != nil {
			return nil, backend.Status{}, err
		}
		for _, s := range bottles {
			if s.Slug == slug && s.State != "dead" {
				live, err := b.Open(ctx, slug)
				return live, s, err
			}
		}
	}
	return nil, backend.Status{}, errNoSuchBottle(slug)
}

func newDown(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "down SLUG...", Short: downShort, Args: cobra.MinimumNArgs(1)}
	cmd.RunE = func(cmd *cobra.Command, slugs []string) error {
		home, err := a.dir()
		if err != nil {
			return err
		}
		var failed []error
		for _, slug := range slugs {
			bottle, _, err := a.open(cmd.Context(), slug)
			if err == nil {
				err = bottle.Down(cmd.Context())
			}
			if err != nil {
				failed = append(failed, err)
				continue
			}
			say("%s is down", slug)
			if before, err := savedWatch(home.Dir(slug)); err == nil {
				sayChanged(before.changes())
			}
		}
		return errors.Join(failed...)
	}
	return cmd
}

func newExec(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "exec SLUG -- COMMAND...", Short: execShort, Args: cobra.MinimumNArgs(2)}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		bottle, _, err := a.open(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		c := newConsole()
		defer c.restore()
		if err := c.raw(); err != nil {
			return err
		}
		code, err := bottle.Exec(cmd.Context(), args[1:], c.streams)
		if err != nil {
			return err
		}
		if code != 0 {
			return exitCode(code)
		}
		return nil
	}
	return cmd
}
