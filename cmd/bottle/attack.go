package main

import (
	"context"
	"fmt"
	"io"

	"github.com/claude-bottle/claude-bottle/attack"
	"github.com/claude-bottle/claude-bottle/backend"
)

const flagAttack = "play the escape cases inside the running bottle `SLUG` and tell what held; nothing secret is sent"

const hintBroken = "end it with \"bottle down\", and report which case did not hold and on which backend"

func errBroken(slug string, n int) error {
	return withHint(fmt.Errorf("%s did not hold against %d of the cases", slug, n), hintBroken)
}

// caseResult is one line of `bottle doctor --attack --json`.
type caseResult struct {
	Case     string   `json:"case"`
	Tells    string   `json:"tells"`
	Held     bool     `json:"held"`
	Attempts int      `json:"attempts"`
	Problems []string `json:"problems"`
}

// attack plays the cases that need nothing but the bottle, and prints what
// became of each.
func (a *app) attack(ctx context.Context, slug string) error {
	bottle, _, err := a.open(ctx, slug)
	if err != nil {
		return err
	}
	inside := func(ctx context.Context, command []string, out, err io.Writer) (int, error) {
		return bottle.Exec(ctx, command, backend.Stdio{Out: out, Err: err})
	}
	broken := 0
	all := []caseResult{}
	for _, c := range attack.Live() {
		for _, r := range attack.Run(ctx, inside, nil, []attack.Case{c}) {
			told := caseResult{Case: c.Name, Tells: c.Tells, Held: r.Held(), Attempts: len(r.Attempts), Problems: r.Problems}
			all = append(all, told)
			if !told.Held {
				broken++
			}
			if !a.json {
				printCase(told)
			}
		}
	}
	if a.json {
		if err := printJSON(all); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if broken > 0 {
		return errBroken(slug, broken)
	}
	return nil
}

func printCase(r caseResult) {
	word := "held"
	if !r.Held {
		word = "NOT HELD"
	}
	fmt.Printf("%-8s  %-22s  %s (%d attempts)\n", word, r.Case, r.Tells, r.Attempts)
	for _, problem := range r.Problems {
		fmt.Printf("%-8s  %-22s  %s\n", "", "", problem)
	}
}
