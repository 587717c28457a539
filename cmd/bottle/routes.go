package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

func newRoutes(a *app) *cobra.Command {
	var edit bool
	cmd := &cobra.Command{Use: "routes SLUG", Short: routesShort, Long: routesLong, Args: cobra.ExactArgs(1)}
	a.jsonFlag(cmd)
	cmd.Flags().BoolVar(&edit, "edit", false, flagEditRoutes)
	cmd.AddCommand(newSuggest(a))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := a.operator(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if edit {
			return a.editRoutes(cmd.Context(), args[0], o)
		}
		src, err := o.Routes(cmd.Context())
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(map[string]string{"slug": args[0], "routes": string(src)})
		}
		_, err = os.Stdout.Write(src)
		return err
	}
	return cmd
}

func (a *app) editRoutes(ctx context.Context, slug string, o *control.Operator) error {
	before, err := o.Routes(ctx)
	if err != nil {
		return err
	}
	edited, err := editText(ctx, "routes.yaml", before, func(edited []byte) error {
		_, err := routes.Parse(edited)
		return err
	})
	if edited == nil || err != nil {
		return err
	}
	if onTerminal() {
		fmt.Print(control.Diff("live routes", before, "routes after it", edited))
		if ok, err := confirm(ctx, askRoutes); err != nil || !ok {
			return keepEdited("routes.yaml", edited, err)
		}
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	out, err := o.SetRoutes(ctx, before, edited)
	if err != nil {
		return keepEdited("routes.yaml", edited, explainChange(err))
	}
	return a.printOutcome(slug, out)
}
