package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

func newModify(a *app) *cobra.Command {
	var d decision
	var file string
	cmd := &cobra.Command{Use: "modify ID", Short: modifyShort, Long: modifyLong, Args: cobra.ExactArgs(1)}
	d.granting(cmd)
	a.jsonFlag(cmd)
	cmd.Flags().StringVar(&file, "rule", "", flagRule)
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
		if r.Route == nil {
			return explainDecision(fmt.Errorf("%s: %w", r.ID, control.ErrNothingToModify))
		}
		route, err := modified(ctx, slug, r, file)
		if route == nil || err != nil {
			return err
		}
		saving := (*control.Saving)(nil)
		if d.save {
			if saving, err = a.prepareSave(ctx, &d, slug, *route); saving == nil || err != nil {
				return err
			}
		}
		ctx, stop := interruptible(ctx)
		defer stop()
		out, err := o.Modify(ctx, r.ID, d.review, *route, t)
		if err != nil {
			return explainDecision(err)
		}
		return errors.Join(a.printOutcome(slug, out), write(saving))
	}
	return cmd
}

// modified is the operator's own rule in place of the proposal's, from a file
// or from the editor; nil when nothing was changed.
func modified(ctx context.Context, slug string, r control.Review, file string) (*routes.Route, error) {
	if file != "" {
		text, err := readRule(file)
		if err != nil {
			return nil, err
		}
		return oneRoute(text)
	}
	asked, err := routes.New([]routes.Route{*r.Route})
	if err != nil {
		return nil, err
	}
	head := modifyHead(slug, r.ID, hostLine(r), proposal.Clean(r.Justification, 300))
	initial := append([]byte(head), asked.Render()...)
	var route *routes.Route
	edited, err := editText(ctx, "rule.yaml", initial, func(text []byte) (err error) {
		route, err = oneRoute(text)
		return err
	})
	if edited == nil || err != nil {
		return nil, err
	}
	after, err := routes.New([]routes.Route{*route})
	if err != nil {
		return nil, err
	}
	if bytes.Equal(after.Render(), asked.Render()) {
		say("%s", nothingEdited)
		return nil, nil
	}
	fmt.Print(control.Diff("what the agent asked for", asked.Render(), "what you grant", after.Render()))
	if onTerminal() {
		if ok, err := confirm(ctx, askModify); !ok || err != nil {
			return nil, err
		}
	}
	return route, nil
}

const maxRule = 64 << 10

func readRule(file string) ([]byte, error) {
	from := io.Reader(os.Stdin)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	return io.ReadAll(io.LimitReader(from, maxRule))
}

// oneRoute reads a routes file of exactly one route.
func oneRoute(text []byte) (*routes.Route, error) {
	table, err := routes.Parse(text)
	if err != nil {
		return nil, err
	}
	all := table.Routes()
	if len(all) != 1 {
		return nil, errOneRoute(len(all))
	}
	return &all[0], nil
}
