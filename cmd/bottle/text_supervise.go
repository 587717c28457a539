package main

import (
	"errors"
	"fmt"

	"github.com/claude-bottle/claude-bottle/proposal"
)

// The text of `bottle supervise` outside of its screen, whose text is the
// package tui's; the rules are text.go's.

const (
	superviseShort = "Watch all bottles and answer what their agents ask for"
	superviseLong  = `A full-screen view over all running bottles: what waits for an answer, with the
rule, what it would change, which recorded refusals it would have let through,
and the agent's words; and what is granted. Its keys stand at its foot.

Nothing is decided but what was on the screen, and nothing without a "Y" to the
host and the duration. With --once the overview is printed and nothing asked.`
	flagSuperviseOnce = "print the overview as plain text and exit"

	hintCrashed = "start it again: bottles, proposals and answers stay as they are"

	ruleNothing   = "approving applies nothing; the agent is told that you agree"
	ruleAnyMethod = "methods: every method but CONNECT and TRACE"
	ruleAnyPath   = "paths: every path"
	noteNoReplay  = "opens no route: no recorded refusal to compare with"
)

func errNoScreen() error {
	return withHint(errors.New("there is no terminal to show the view on"), "\"bottle supervise --once\" prints it; \"bottle proposals\" answers")
}

func errCannotLook(slug string, err error) error {
	return fmt.Errorf("%s: %s", slug, proposal.Clean(err.Error(), 300))
}

func noteNoGrants(err error) string { return "its grants cannot be read: " + err.Error() }

func noteReplayFailed(err error) string {
	return "recorded refusals cannot be compared: " + err.Error()
}

func noteUnknown(n uint64) string {
	return several(n, "refusal") + " of this host were too many to be recorded whole"
}

// about names the host, for kinds that have one.
func about(host string) string {
	if host == "" {
		return ""
	}
	return " to " + host
}

func toldInForce(slug, host string) string {
	return "in force: the answer" + about(host) + " in " + slug
}
func toldRejected(slug, host string) string {
	return "rejected in " + slug + ": the request" + about(host)
}
func toldRevoked(slug, grant string) string { return "revoked in " + slug + ": " + grant }

func toldSaved(told, path string) string { return told + "; saved in " + path }

func toldUnsaved(told string, err error) string {
	return told + ", but NOT saved in the bottle file: " + err.Error()
}
