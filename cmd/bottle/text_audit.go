package main

import (
	"fmt"

	"github.com/claude-bottle/claude-bottle/replay"
)

// What `bottle audit` and `bottle routes suggest` tell.
const (
	auditShort     = "Read and check the audit logs"
	auditShowShort = "Show what bottles and operators did, the oldest first"
	auditShowLong  = `Show what was recorded: of one bottle what its bundle decided and what the
operator did with it, or of all bottles together.

What an agent wrote, such as hosts and paths, is shown without control
characters. --json prints one record a line, with the chain it is from.`
	auditVerifyShort = "Check that no line of the audit logs was changed, moved or removed"
	auditVerifyLong  = `Check the operator's audit log, those of all bottles or of one, and that they
agree: each names lines of the other one. The first broken line is named with
file, line and number. It needs no running bottle.`

	flagSince       = "only what happened since: a time such as 2026-01-31T15:04:05Z, or how long ago, such as 15m"
	flagAuditFollow = "go on with what is added"

	suggestShort = "Propose routes for what a bottle was refused"
	suggestLong  = `Propose the smallest set of routes that would let through what the bottle was
refused so far and its routes do not allow by now. The output can be pasted into
a bottle file; read it first: what an agent asked for is not what it should have.

Where connections were refused it is not known what would have been asked in
them: such a host is proposed for reading alone, with all its paths. No wildcard
is proposed, no address, and no host to which a request was refused because of
a secret, the host's address or its form.`
)

func errSince(text string) error {
	return withHint(fmt.Errorf("--since %q is neither a time nor a duration", text), "such as 2026-01-31T15:04:05Z, 2026-01-31, or 15m")
}

func errNoAudit(slug string) error {
	return withHint(fmt.Errorf("there is no audit log of a bottle %q", slug), "\"bottle ls\" lists the bottles")
}

func errBrokenChain(broken error) error {
	return withHint(fmt.Errorf("the log ends here, the next line cannot be trusted: %w", broken), "\"bottle audit verify\" checks all of it")
}

func errAuditBroken(n int) error {
	return withHint(fmt.Errorf("%d of the audit logs cannot be trusted from the named line on", n),
		"keep the files as they are, and ask who could write to them")
}

// sayAuditBroken warns at a bottle's end.
func sayAuditBroken(err error) {
	say("the audit log of the bottle is not what it was: %v", err)
}

// printChecked tells what became of one chain.
func printChecked(c checkedChain) {
	name := "operator"
	if c.Slug != "" {
		name = c.Slug
	}
	switch {
	case c.Broken != "":
		fmt.Printf("BROKEN  %-20s  %s\n", name, c.Broken)
	case c.Removed:
		fmt.Printf("removed %-20s  by the operator\n", name)
	case c.Anchored > 0:
		fmt.Printf("ok      %-20s  %d lines, anchored up to seq %d\n", name, c.Records, c.Anchored)
	default:
		fmt.Printf("ok      %-20s  %d lines\n", name, c.Records)
	}
}

const whyGone = "the log is gone with its folder, and no \"bottle cleanup\" is recorded"

// printSuggestion prints YAML for a bottle file; all else in it are comments.
func printSuggestion(s replay.Suggestion, refused uint64) error {
	if len(s.Rules) == 0 && len(s.LeftOut) == 0 {
		say("nothing was refused that the routes do not allow by now")
		return nil
	}
	var covered uint64
	for _, r := range s.Rules {
		covered += r.Covers
	}
	fmt.Printf("# Of %s these routes would have let through %d.\n", several(refused, "refusal"), covered)
	if len(s.Rules) > 0 {
		fmt.Print("egress:\n  routes:\n")
	}
	for _, r := range s.Rules {
		switch requests := r.Covers - r.Connections; {
		case requests == 0:
			fmt.Printf("    # %s; what would have been asked is not known\n", several(r.Connections, "refused connection"))
		case r.Connections > 0:
			fmt.Printf("    # %s and %s\n", several(requests, "refused request"), several(r.Connections, "connection"))
		default:
			fmt.Printf("    # %s\n", several(requests, "refused request"))
		}
		item, err := yamlOf(r.Route)
		if err != nil {
			return err
		}
		fmt.Print(item)
	}
	for _, l := range s.LeftOut {
		fmt.Printf("# left out: %q, %s: %s\n", l.Host, several(l.Refusals, "refusal"), l.Why)
	}
	return nil
}

// several counts things that take an s.
func several(n uint64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func sayNoReplay(err error) {
	say("what was refused so far cannot be compared with the proposal: %v", err)
}

// mostReplayed is how many refusals are listed beside a proposal.
const mostReplayed = 12

// printReplay tells what a proposal's rule would have let through, what of that
// the agent did not name first.
func printReplay(r *replay.Result) {
	if r == nil {
		return
	}
	if len(r.Would) == 0 {
		fmt.Printf("%-10s %s\n", "replay", "nothing that was refused so far would have been let through")
	} else {
		fmt.Printf("%-10s %s would have been let through, %d of them not named by the agent\n", "replay",
			several(replay.Count(r.Would), "refusal"), replay.Count(r.Unnamed))
	}
	listed := 0
	for _, named := range []bool{false, true} {
		for _, refusal := range r.Would {
			if refusal.Named != named || listed == mostReplayed {
				continue
			}
			listed++
			mark := "not named"
			if named {
				mark = "named"
			}
			fmt.Printf("%-10s   %-9s  %4d × %s\n", "", mark, refusal.Count, refusedThing(refusal))
		}
	}
	if more := len(r.Would) - listed; more > 0 {
		fmt.Printf("%-10s   and %d more\n", "", more)
	}
	if r.Unknown > 0 {
		fmt.Printf("%-10s   %s of this host were too many to be recorded whole\n", "", several(r.Unknown, "refusal"))
	}
}

// refusedThing is a refusal in words; its text is clean since it was loaded.
func refusedThing(r replay.Refusal) string {
	at := r.Host
	if r.Port != 443 && r.Port != 0 {
		at += fmt.Sprintf(":%d", r.Port)
	}
	if r.Connection() {
		return "connection to " + at + " (" + string(r.Rule) + ")"
	}
	return r.Method + " " + at + r.Path + " (" + string(r.Rule) + ")"
}
