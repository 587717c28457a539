package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/backend"
)

func newLs(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "ls", Short: lsShort, Args: cobra.NoArgs}
	a.jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		backends, err := a.backends()
		if err != nil {
			return err
		}
		all := []backend.Status{}
		for _, b := range backends {
			bottles, err := b.List(cmd.Context())
			if err != nil {
				return err
			}
			all = append(all, bottles...)
		}
		if a.json {
			return printJSON(all)
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "SLUG\tSTATE\tAGENT\tBACKEND\tSINCE")
		for _, s := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.Slug, s.State, s.Agent, s.Backend, s.Since)
		}
		return w.Flush()
	}
	return cmd
}
