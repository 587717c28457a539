package tui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Table writes the overview as plain text: ASCII hosts, no control characters,
// one line each. What waits comes first, a stranger's words last on their line.
func Table(w io.Writer, bottles []Bottle, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	waiting, grants := 0, 0
	for _, b := range bottles {
		waiting += len(b.Waiting)
		grants += len(b.Grants)
	}
	fmt.Fprintln(t, textCounts(waiting, grants, len(bottles)))
	if waiting > 0 {
		fmt.Fprintln(t, "\n"+textWaiting)
		fmt.Fprintln(t, tableWaiting)
	}
	for _, b := range bottles {
		for _, p := range b.Waiting {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", plain(p.ID), plain(b.Slug), textAge(now.Sub(p.Created)), strings.TrimSuffix(plain(p.Kind), "-block"), plain(p.Subject))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if grants > 0 {
		fmt.Fprintln(t, "\n"+textGrants)
		fmt.Fprintln(t, tableGrants)
	}
	for _, b := range bottles {
		for _, g := range b.Grants {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", plain(g.ID), plain(b.Slug), textLeft(g, now), plain(g.Subject))
		}
	}
	if slices.ContainsFunc(bottles, func(b Bottle) bool { return len(b.Problems) > 0 || b.Note != "" }) {
		fmt.Fprintln(t)
	}
	for _, b := range bottles {
		if n := len(b.Problems); n > 0 {
			fmt.Fprintf(t, "%s: %s\n", plain(b.Slug), textProblems(n, plain(b.Problems[0])))
		}
		if b.Note != "" {
			fmt.Fprintf(t, "%s: %s\n", plain(b.Slug), plain(b.Note))
		}
	}
	return t.Flush()
}
