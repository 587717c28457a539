package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/backend"
)

func newCleanup(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{Use: "cleanup", Short: cleanupShort, Args: cobra.NoArgs}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, flagYes)
	a.jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		backends, err := a.backends()
		if err != nil {
			return err
		}
		found := []backend.Orphan{}
		owner := map[backend.Orphan]backend.Backend{}
		for _, b := range backends {
			orphans, err := b.Orphans(cmd.Context())
			if err != nil {
				return err
			}
			for _, o := range orphans {
				found, owner[o] = append(found, o), b
			}
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
			if err := owner[o].Remove(cmd.Context(), o); err != nil {
				failed = append(failed, fmt.Errorf("%s %s: %w", o.Kind, o.Name, err))
			}
		}
		say("removed %d of %d", len(found)-len(failed), len(found))
		return errors.Join(failed...)
	}
	return cmd
}
