// Command sidecars is a bottle's bundle: it reads its environment, runs the
// selected roles under the supervisor, and ends with the code that the
// supervisor says. It can be PID 1 of a container, a child of the namespace
// backend, or a process of its own. `sidecars -h` lists what it reads.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/claude-bottle/claude-bottle/health"
)

// Set at build time with -ldflags -X.
var (
	version = "devel"
	// pipelockSHA256 is the pin: hex SHA-256 of the only pipelock that runs.
	pipelockSHA256 string
	// graceForTests replaces the supervisor's grace in binaries that tests build.
	graceForTests string
)

func main() { os.Exit(command(os.Args[1:], os.Stdout, os.Stderr)) }

func command(args []string, stdout, stderr io.Writer) int {
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	switch {
	case name == "":
		return runBundle(stderr)
	case name == "health":
		return askHealth(args[1:], stdout, stderr)
	case name == "version" || name == "--version":
		fmt.Fprintf(stdout, versionText, version, pinText(pipelockSHA256))
		return 0
	case name == "help" || name == "-h" || name == "--help":
		fmt.Fprint(stdout, helpText)
		return 0
	default:
		fmt.Fprintf(stderr, unknownCommandText, name)
		return 2
	}
}

// askHealth asks the bundle that has the same environment.
func askHealth(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("health", flag.ContinueOnError)
	flags.SetOutput(stderr)
	asJSON := flags.Bool("json", false, "print the whole report")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	env := environment(os.Environ())
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	report, body, err := health.Probe(ctx, env.or("CLAUDE_BOTTLE_HEALTH_LISTEN", defaultHealthListen))
	if err != nil {
		fmt.Fprintf(stderr, "sidecars: %v\n", err)
		return 1
	}
	if *asJSON {
		stdout.Write(body)
	} else {
		printHealth(stdout, report)
	}
	if !report.Ready {
		return 1
	}
	return 0
}
