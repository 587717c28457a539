package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/backend"
)

// orphan is something that can be cleaned up, and how.
type orphan struct {
	backend.Orphan
	remove func(context.Context) error
}

func newCleanup(a *app) *cobra.Command {
	var yes, ended bool
	cmd := &cobra.Command{Use: "cleanup", Short: cleanupShort, Args: cobra.NoArgs}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, flagYes)
	a.jsonFlag(cmd)
	cmd.Flags().BoolVar(&ended, "ended", false, flagEnded)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found, err := a.orphans(cmd.Context(), ended)
		if err != nil {
			return err
		}
		if a.json && !yes {
			return printJSON(found)
		}
		if len(found) == 0 {
			say("nothing to clean up")
			return nil
		}
		for _, o := range found {
			fmt.Printf("%s\t%s\t%s\n", o.Slug, o.Kind, o.Name)
		}
		if !yes {
			if yes, err = confirm(cmd.Context(), fmt.Sprintf("remove these %d", len(found))); err != nil || !yes {
				return err
			}
		}
		var failed []error
		for _, o := range found {
			if err := a.remove(cmd.Context(), o); err != nil {
				failed = append(failed, fmt.Errorf("%s %s: %w", o.Kind, o.Name, err))
			}
		}
		say("removed %d of %d", len(found)-len(failed), len(found))
		return errors.Join(failed...)
	}
	return cmd
}

// orphans are what dead bottles left and, when wanted, the state that bottles
// which ended in order keep.
func (a *app) orphans(ctx context.Context, ended bool) ([]orphan, error) {
	home, err := a.dir()
	if err != nil {
		return nil, err
	}
	backends, err := a.backends()
	if err != nil {
		return nil, err
	}
	found := []orphan{}
	known := map[string]bool{}
	for _, b := range backends {
		orphans, err := b.Orphans(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range orphans {
			found = append(found, orphan{o, func(ctx context.Context) error { return b.Remove(ctx, o) }})
		}
		bottles, err := b.List(ctx)
		if err != nil {
			return nil, err
		}
		for _, status := range bottles {
			known[status.Slug] = true
		}
	}
	if !ended {
		return found, nil
	}
	slugs, err := home.Slugs()
	for _, slug := range slugs {
		if dir := home.Dir(slug); !known[slug] {
			found = append(found, orphan{
				backend.Orphan{Slug: slug, Kind: "ended", Name: string(dir)},
				func(context.Context) error { return dir.Remove() },
			})
		}
	}
	return found, err
}
