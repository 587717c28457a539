package main

import (
	"fmt"
	"os"
)

// The text of what is written for other programs; text.go has the rules.

const (
	renderShort        = "Write a bottle for another program to start"
	renderComposeShort = "Write a bottle as a compose file"
	renderComposeLong  = `Lay out a bottle's files as "bottle up" does and write a compose file that starts
it: with CLAUDE_BOTTLE_SIDECAR_BUNDLE=0 with a container for each role, otherwise
with one for all. No secret is in the file; its first lines say which variables
"docker compose up" needs. AGENT and COMMAND are as for "bottle up".`
	renderComposeExample = `  bottle render compose reviewer -o compose.yaml
  docker compose -f compose.yaml up -d
  docker compose -f compose.yaml attach agent`
	flagOutput = "the file to write (default: standard output)"
)

func errUnknownShape(value string) error {
	return withHint(fmt.Errorf("CLAUDE_BOTTLE_SIDECAR_BUNDLE is %q", value),
		"0, false, no or off gives each role a container of its own; 1, true, yes, on or nothing puts them into one")
}

func sayNoEngine(err error) {
	fmt.Fprintf(os.Stderr, "bottle: note: the bundle's image cannot be looked at, so pipelock is taken as this machine has it: %v\n", err)
}

func sayRendered(slug, output string) {
	if output == "" || output == "-" {
		output = "the file"
	}
	fmt.Fprintf(os.Stderr, "bottle: laid out %s; \"docker compose -f %s up -d\" starts it, \"bottle down %s\" ends and removes it\n", slug, output, slug)
}
