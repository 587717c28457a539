package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/replay"
)

func newProposalShow(a *app) *cobra.Command {
	var slug string
	cmd := &cobra.Command{Use: "show ID", Short: proposalsShowShort, Args: cobra.ExactArgs(1)}
	a.jsonFlag(cmd)
	cmd.Flags().StringVar(&slug, "slug", "", flagSlug)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		slug, o, err := a.find(cmd.Context(), args[0], slug)
		if err != nil {
			return err
		}
		r, err := o.Review(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		judged, err := a.replayed(slug, r)
		if err != nil {
			return err
		}
		if a.json {
			err = printJSON(shownReview(slug, r, judged))
		} else {
			err = printReview(slug, r, judged)
		}
		if err != nil {
			return err
		}
		return o.Shown(r.ID, r.Proposal.Review)
	}
	return cmd
}

// reviewJSON is `bottle proposals show --json`.
type reviewJSON struct {
	Slug    string        `json:"slug"`
	ID      string        `json:"id"`
	Kind    proposal.Kind `json:"kind"`
	Created string        `json:"created"`
	// Rule is canonical JSON.
	Rule          json.RawMessage    `json:"rule"`
	Host          string             `json:"host,omitempty"`
	Unicode       string             `json:"host_unicode,omitempty"`
	Diff          string             `json:"diff"`
	Justification string             `json:"justification"`
	Review        string             `json:"review"`
	Response      *proposal.Response `json:"response,omitempty"`
	// Replay is what of the recorded refusals the rule would have let through.
	Replay *replay.Result `json:"replay,omitempty"`
}

func shownReview(slug string, r control.Review, judged *replay.Result) reviewJSON {
	return reviewJSON{
		Slug: slug, ID: r.ID, Kind: r.Kind, Created: r.Created.Format("2006-01-02T15:04:05Z07:00"), Rule: r.Rule,
		Host: r.Host, Unicode: r.Unicode, Diff: r.Diff, Justification: r.Justification,
		Review: r.Proposal.Review, Response: r.Response, Replay: judged,
	}
}

// printReview prints all that an operator has to see before deciding. What the
// agent wrote stands apart, and is marked on every line.
func printReview(slug string, r control.Review, judged *replay.Result) error {
	fmt.Printf("%-10s %s\n", "proposal", r.ID)
	fmt.Printf("%-10s %s\n", "bottle", slug)
	fmt.Printf("%-10s %s\n", "kind", r.Kind)
	fmt.Printf("%-10s %s ago\n", "filed", ago(r.Created))
	fmt.Printf("%-10s %s\n", "rule", proposal.Clean(string(r.Rule), len(r.Rule)+1))
	if r.Host != "" {
		fmt.Printf("%-10s %s\n", "host", r.Host)
	}
	if r.Unicode != "" {
		fmt.Printf("%-10s %s\n", "", hostShownAs(r.Unicode))
	}
	printMark(agentSays, proposal.Clean(r.Justification, len(r.Justification)+1))
	if r.Response != nil {
		fmt.Printf("%-10s %s\n", "answered", answerLine(*r.Response))
		return nil
	}
	if r.Diff == "" {
		fmt.Printf("%-10s %s\n", "changes", changesNothing)
	} else {
		fmt.Printf("%-10s\n%s", "changes", r.Diff)
	}
	printReplay(judged)
	fmt.Printf("%-10s %s\n", "review", r.Proposal.Review)
	return nil
}

// printMark prints a stranger's text in lines that begin with their mark.
func printMark(mark, text string) {
	const width = 64
	for words := []rune(text); ; {
		n := min(width, len(words))
		fmt.Printf("%-10s | %s\n", mark, string(words[:n]))
		if words = words[n:]; len(words) == 0 {
			return
		}
	}
}
