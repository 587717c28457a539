package main

import (
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/proposal"
)

func newProposals(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "proposals", Short: proposalsShort, Long: proposalsLong, Example: proposalsExample, Args: cobra.NoArgs}
	a.jsonFlag(cmd)
	cmd.RunE = a.listProposals
	ls := &cobra.Command{Use: "ls", Short: proposalsLsShort, Args: cobra.NoArgs, RunE: a.listProposals}
	a.jsonFlag(ls)
	cmd.AddCommand(ls, newProposalShow(a), newApprove(a), newModify(a), newReject(a))
	return cmd
}

// proposalLine is one line of `bottle proposals ls`.
type proposalLine struct {
	Slug          string          `json:"slug"`
	ID            string          `json:"id"`
	Kind          proposal.Kind   `json:"kind"`
	Created       time.Time       `json:"created"`
	Rule          json.RawMessage `json:"rule"`
	Summary       string          `json:"summary"`
	Justification string          `json:"justification"`
	Review        string          `json:"review"`
}

func (a *app) listProposals(cmd *cobra.Command, _ []string) error {
	all, err := a.waitingAll(cmd.Context())
	if err != nil {
		return err
	}
	home, err := a.dir()
	if err != nil {
		return err
	}
	lines := []proposalLine{}
	forged := map[string]bool{}
	for _, w := range all {
		lines = append(lines, proposalLine{
			Slug: w.slug, ID: w.ID, Kind: w.Kind, Created: w.Created, Rule: w.Rule, Review: w.Review,
			Summary: control.Summary(w.Proposal), Justification: proposal.Clean(w.Justification, len(w.Justification)+1),
		})
		if w.Decision != nil && !control.Unfinished(home.Dir(w.slug)) {
			forged[w.slug] = true
		}
	}
	for slug := range forged {
		if o, err := a.operator(cmd.Context(), slug); err == nil {
			sayRecovered(slug)(o.Recover(cmd.Context()))
		}
	}
	if a.json {
		return printJSON(lines)
	}
	if len(lines) == 0 {
		say("%s", noProposals)
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, proposalsHead)
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%q\n", l.Slug, l.ID, l.Kind, ago(l.Created),
			proposal.Clean(l.Summary, 60), proposal.Clean(l.Justification, 40))
	}
	return w.Flush()
}

// ago is how long something is in the past, roughly.
func ago(t time.Time) string {
	d := max(time.Since(t), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	}
	return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
}
