package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/plan"
)

// All text that a person reads comes from this file, and these are its rules.
//
// Results go to stdout and nothing else does, so that they can be piped. Every
// other line goes to stderr and starts with "bottle: ", in lower case, without
// a full stop. An error is one line that says what happened and why; what to
// do about it follows as a line of its own that starts with "bottle: hint: ".
// Nothing here is ever given a secret.

const (
	rootShort = "Run a coding agent that may do anything inside and has one guarded way out"
	rootLong  = `bottle runs a coding agent in a bottle: inside, it may do anything; outside, it
reaches nothing but its bundle, which lets through the hosts, paths and methods
you listed, adds credentials the agent never sees, and writes everything down.

Start with "bottle demo" to see it work, or "bottle init" and "bottle up".`

	upShort = "Start a bottle and run its agent"
	upLong  = `Start a bottle and run its agent in the foreground. The command ends with the
agent's command and returns its exit code.

AGENT is the name of an agent file in ~/.claude-bottle/agents or in
./.claude-bottle/agents, or of a bottle file. Without one, the agent runs the
bottle's own command. Everything after "--" replaces the command.`
	upExample = `  bottle up                          the only bottle there is, its own command
  bottle up reviewer                 the agent of agents/reviewer.md
  bottle up --bottle shell -- make   one command in the bottle of bottles/shell.md
  bottle up -d reviewer              in the background; prints the slug`

	resumeShort = "Start a bottle that ended once more"
	resumeLong  = `Start a bottle that ended, or was killed, once more: under its slug, in its
workspace, with its audit log and its proposals. What you allowed or denied
while it ran stays so; what you granted for the session does not. When the
bottle file's routes have changed since, they are in force as they are now.`

	downShort   = "Stop a bottle and everything in it"
	lsShort     = "List the bottles of this host"
	execShort   = "Run a further command in a running bottle"
	attachShort = "Join the terminal of a running bottle's agent"
	attachLong  = `Join the terminal of a running bottle's agent, which "bottle up -d" started or
which runs in another terminal. Ctrl-] leaves again; the agent goes on.`
	logsShort = "Show what a bottle's bundle logged"
	infoShort = "Show a bottle: its roles, routes and where its files are"
	initShort = "Write a first bottle file"
	initLong  = `Write a bottle file to start from, and never over one that is there: shell, which
runs at once, or one of the agents' bottles, whose first lines say what it needs.`
	doctorShort  = "Check what this host offers and what is missing"
	cleanupShort = "Find and remove what dead bottles left behind"
	demoShort    = "Bring up a bottle and show what it lets through and what it refuses"

	flagHome      = "the folder of bottles, agents and state (default $CLAUDE_BOTTLE_HOME, else ~/.claude-bottle)"
	flagBackend   = "how the bottle is isolated: namespace or docker (default $CLAUDE_BOTTLE_BACKEND, else the bottle file's, else docker where its images are, else namespace)"
	flagBottle    = "the bottle file to use, by name"
	flagLabel     = "the bottle's slug (default: the agent's name and five random characters)"
	flagWorkspace = "the folder that appears at /workspace"
	flagDetach    = "run in the background and print the slug"
	flagDryRun    = "print the plan and start nothing"
	flagJSON      = "print JSON"
	flagFollow    = "keep printing what is added"
	flagAgentLog  = "what the agent printed, of a bottle started with -d"
	flagYes       = "remove without asking"
	flagKeep      = "keep the demo's folder and print where it is"
	flagEnded     = "also the state of bottles that ended in order: audit log, queue, routes"
)

const (
	attachedText   = "attached; Ctrl-] leaves"
	detachedText   = "left %s, which goes on; \"bottle attach\" joins it again"
	hintNoTerminal = "\"bottle logs --agent %s\" shows what it printed, where it was started with -d"
)

// A hinted error carries what the user can do about it.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// withHint adds what to do to an error.
func withHint(err error, format string, a ...any) error {
	return hinted{err, fmt.Sprintf(format, a...)}
}

func sayTo(w io.Writer, format string, a ...any) {
	for line := range strings.Lines(fmt.Sprintf(format, a...)) {
		fmt.Fprintf(w, "bottle: %s\n", strings.TrimSuffix(line, "\n"))
	}
}

// say prints progress and notes.
func say(format string, a ...any) { sayTo(os.Stderr, format, a...) }

// prompt prints a question, with the cursor left behind it.
func prompt(format string, a ...any) { fmt.Fprintf(os.Stderr, "bottle: "+format, a...) }

// sayError prints an error and, when it has one, its hint.
func sayError(err error) {
	say("error: %v", err)
	if h, ok := errors.AsType[hinted](err); ok {
		say("hint: %s", h.hint)
	}
}

// errUsage tells of arguments that a command does not take.
func errUsage(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return withHint(err, "usage: %s; see \"%s --help\"", cmd.UseLine(), cmd.CommandPath())
}

// errMistyped tells an unknown command and what was meant, one a line, in this
// program's own form.
func errMistyped(err error) error {
	text, meant, found := strings.Cut(err.Error(), "\n\nDid you mean this?\n")
	if !found {
		return err
	}
	return withHint(errors.New(text), "did you mean: %s", strings.Join(strings.Fields(meant), ", "))
}

func errUnknownBackend(name string) error {
	return withHint(fmt.Errorf("there is no backend %q", name), "choose one of: %s", strings.Join(backendNames(), ", "))
}

func errNoSidecars(tried []string) error {
	return withHint(fmt.Errorf("the sidecars program was not found: tried %s", strings.Join(tried, ", ")),
		"build it with \"make build\", or set CLAUDE_BOTTLE_SIDECARS to its path")
}

func errBrokenSidecars(path string, err error) error {
	return withHint(fmt.Errorf("%s does not tell its version: %w", path, err), "build it again with \"make build\"")
}

func errNoSuchBottle(slug string) error {
	return withHint(fmt.Errorf("there is no running bottle %q", slug), "\"bottle ls\" lists them")
}

func errStillRuns(slug string) error {
	return withHint(fmt.Errorf("bottle %q runs already", slug), "\"bottle attach %s\" joins it, \"bottle down %s\" ends it", slug, slug)
}

func errNothingToResume(slug string, err error) error {
	return withHint(fmt.Errorf("there is nothing of a bottle %q to resume: %w", slug, err), "\"bottle up --label %s\" starts one", slug)
}

func errNotATerminal(question string) error {
	return withHint(fmt.Errorf("%s: there is no terminal to ask at", question), "run it at a terminal; \"bottle cleanup\" takes --yes for an answer")
}

// notesEnded is what an agent is told whose proposal outlived its bottle.
const notesEnded = "the bottle ended"

const hintStateExists = "choose another --label, or \"bottle resume\" that bottle; \"bottle cleanup --ended\" removes the state of bottles that ended"

func errTooManyAgents(names []string) error {
	return withHint(fmt.Errorf("one agent, not %d: %s", len(names), strings.Join(names, " ")), "a command goes after \"--\"")
}

func errNoLog(slug string, err error) error {
	return withHint(fmt.Errorf("the bottle %q has no such log: %w", slug, err), "\"bottle ls\" lists the bottles; --agent is for those started with -d")
}

// sayPreflight tells what is about to start.
func sayPreflight(p *plan.Plan, backend string) {
	say("%s: %s backend, roles %s, %d hosts, workspace %s", p.Slug, backend, strings.Join(p.Daemons, " "), len(p.Hosts), p.Workspace)
	if p.Note != "" {
		say("%s", p.Note)
	}
	if p.PipelockNote != "" {
		say("pipelock: %s", p.PipelockNote)
	}
}

func sayKept(dir string) { say("the demo's folder is %s", dir) }

// sayAtOnce tells a step of the start that need not last to be told: what the
// operator must know, which begins with "note: ".
func sayAtOnce(step string) bool {
	note, ok := strings.CutPrefix(step, "note: ")
	if ok {
		say("%s", note)
	}
	return ok
}

// sayStep tells a step that lasts.
func sayStep(step string) { say("%s …", step) }

func interruptedText(by os.Signal) string {
	return fmt.Sprintf("%v while the bottle started; nothing of it runs", by)
}

// sayChanged warns of files that tools on the host run by themselves.
func sayChanged(paths []string) {
	if len(paths) == 0 {
		return
	}
	say("the agent changed files that programs on this host run by themselves; read them before you go on:")
	const most = 40
	for _, path := range paths[:min(len(paths), most)] {
		say("  %q", path)
	}
	if len(paths) > most {
		say("  and %d more", len(paths)-most)
	}
}

func errFileExists(path string) error {
	return withHint(fmt.Errorf("%s exists already and was left as it is", path), "remove it first, or edit it")
}

func errOpenHome(path string) error {
	return withHint(fmt.Errorf("%s can be entered by other users; it holds keys", path), "chmod 700 %s", path)
}

func errUnhealthy(n int) error {
	return withHint(fmt.Errorf("%d of the checks failed", n), "each says above what to do")
}

// What `bottle doctor` tells.
const (
	docAvailable      = "bottles can be started"
	docContained      = "a bottle was started; from inside nothing but its bundle could be reached"
	docMissingProgram = "not installed; agents will miss it, and \"bottle demo\" needs it"
	docNoPipelock     = "not installed at %s; bottles run without that second filter unless they require it"
	docNoPin          = "installed, but the bundle was built without a pin and refuses to run it"
)

func docPin(pin string) string {
	if pin == "" {
		return "accepts no pipelock: built without a pin"
	}
	return "accepts the pipelock with SHA-256 " + pin
}

func printFinding(f finding) {
	fmt.Printf("%-4s  %-22s  %s\n", f.State, f.Check, f.Told)
	if f.Hint != "" {
		fmt.Printf("      %-22s  %s\n", "", f.Hint)
	}
}

// printPlan tells in lines what would be started.
func (a *app) printPlan(p *plan.Plan, backend string) error {
	if a.json {
		return printJSON(struct {
			*plan.Plan
			Backend string `json:"backend"`
		}{p, backend})
	}
	for _, line := range [][2]string{
		{"slug", p.Slug},
		{"agent", p.Agent},
		{"bottle", p.Bottle},
		{"backend", backend},
		{"workspace", p.Workspace},
		{"command", fmt.Sprintf("%q", p.Command)},
		{"roles", strings.Join(p.Daemons, " ")},
		{"hosts", strings.Join(p.Hosts, " ")},
		{"repositories", strings.Join(p.Repos, " ")},
		{"variables", strings.Join(p.Env, " ")},
		{"pipelock", strings.TrimSpace(p.Pipelock + " " + p.PipelockNote)},
		{"state", string(p.State)},
	} {
		fmt.Printf("%-13s %s\n", line[0], line[1])
	}
	return nil
}
