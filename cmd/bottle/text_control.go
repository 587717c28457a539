package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/proposal"
)

// The text of the commands that change a live bottle; the rules are text.go's.

const (
	proposalsShort = "What the agents ask for: list, show, approve, modify, reject"
	proposalsLong  = `What the agents of all running bottles ask for and nobody answered yet.

A decision is about exactly what was shown: a proposal that changed since
"bottle proposals show" is refused. An approval is told to the agent once it is
in force, and when it cannot be put in force all is as it was before.`
	proposalsExample = `  bottle proposals
  bottle proposals show ID
  bottle proposals approve ID               until the bottle ends
  bottle proposals approve ID --once        one request
  bottle proposals approve ID --for 15m
  bottle proposals approve ID --save        also in the bottle file
  bottle proposals modify ID                in your editor
  bottle proposals reject ID use the mirror instead`

	proposalsLsShort   = "List what waits for an answer"
	proposalsShowShort = "Show one proposal: its rule, what it would change, the agent's words"
	approveShort       = "Put what a proposal asks for in force, and tell the agent"
	approveLong        = `Put what a proposal asks for in force, and tell the agent. Without --once, --for
or --save it holds until the bottle ends.

At a terminal, what "bottle proposals show" did not show yet is shown first, and
a yes is asked for.`
	modifyShort = "Grant another rule than the one that was asked for"
	modifyLong  = `Grant another rule than the one that was asked for: it opens in $VISUAL or
$EDITOR as a route of routes.yaml and may get any of a route's keys. The agent
is told the rule that is in force.`
	rejectShort = "Refuse what a proposal asks for; the agent is told the reason"

	allowShort = "Show or extend what a bottle may reach"
	allowLong  = `Without hosts, print the live allowlist, one a line. With hosts, add a default
route (https, every path, no credential) for each. Patterns like *.example.com
stand for the names below.

Connections that stay allowed are not touched.`
	denyShort = "Take hosts from what a bottle may reach"
	denyLong  = `Remove the routes of the hosts, grants included. Connections to them are cut at
once, others are not touched.`
	routesShort = "Show or edit a bottle's live routes"
	routesLong  = `Print the live routes.yaml, or edit it. What the bundle refuses is taken back.

The bottle file stays as it is: the next bottle starts with its routes.`
	revokeShort = "End a grant before its time"
	revokeLong  = `End a grant, by its id as "bottle info" lists it, or all grants of a host. Lasting
routes of the host stay; "bottle deny" removes those too.`

	flagSlug       = "the bottle, when two have a proposal of this id"
	flagReview     = "the review of the proposal that you saw; another one is refused"
	flagOnce       = "for one request"
	flagFor        = "for so long, e.g. 15m"
	flagSave       = "until the bottle ends, and in the bottle file for later ones"
	flagDecideYes  = "do not ask, also not about the bottle file"
	flagNotes      = "words to the agent"
	flagRule       = "read the rule from a file instead of the editor; - is stdin"
	flagEditHosts  = "edit the list in $VISUAL or $EDITOR, one host a line, # comments"
	flagEditRoutes = "edit the file in $VISUAL or $EDITOR"

	proposalsHead  = "SLUG\tID\tKIND\tAGE\tWANTS\tAGENT SAYS"
	noProposals    = "no proposal waits for an answer"
	nothingEdited  = "nothing was changed"
	changesNothing = "nothing by itself; the agent is told your answer"
	agentSays      = "agent says"

	askEditAgain = "edit it again?"
	askModify    = "grant this?"
	askRoutes    = "put this in force?"
)

// hostsHead stands above the list that `bottle allow --edit` opens.
func hostsHead(slug string) string {
	return "# What " + slug + " may reach, one host a line. A new line adds a default route, a removed\n" +
		"# one removes the host's routes. An empty list changes nothing.\n"
}

// modifyHead stands above the rule that `bottle proposals modify` opens.
func modifyHead(slug, id, host, says string) string {
	return "# What " + slug + " asks for in proposal " + id + ". Edit the route, save, and leave.\n" +
		"# " + host + "\n# The agent says: " + says + "\n"
}

func hostLine(r control.Review) string {
	if r.Unicode == "" {
		return r.Host
	}
	return r.Host + " " + hostShownAs(r.Unicode)
}

func hostShownAs(unicode string) string { return "(would be shown as " + unicode + ")" }

func answerLine(r proposal.Response) string {
	return fmt.Sprintf("%s by %s: %s", r.Status, proposal.Clean(r.Operator, 80), proposal.Clean(r.Notes, 300))
}

func askApprove(r control.Review, t control.Terms) string {
	return fmt.Sprintf("approve %s %s?", control.Summary(r.Proposal), lasting(t.Uses, t.For))
}

func askSave(path string) string { return "approve, and write this into " + path + "?" }

func lasting(uses int, d time.Duration) string {
	switch {
	case uses == 1:
		return "for one request"
	case uses > 0:
		return fmt.Sprintf("for %d requests", uses)
	case d > 0:
		return "for " + d.String()
	}
	return "until the bottle ends"
}

// grantLeft tells what is left of a grant.
func grantLeft(g control.Grant, now time.Time) string {
	switch {
	case g.Ended:
		return "ended"
	case g.Uses > 0 && g.Left < 0:
		return fmt.Sprintf("%d requests granted, the bundle does not tell how many are left", g.Uses)
	case g.Uses > 0:
		return fmt.Sprintf("%d of %d requests left", g.Left, g.Uses)
	case g.Expires != nil:
		return g.Expires.Sub(now).Round(time.Second).String() + " left"
	}
	return "until the bottle ends"
}

func sayOutcome(slug string, out control.Outcome) {
	var words []string
	if r := out.Response; r != nil {
		words = append(words, r.ProposalID+" is "+string(r.Status))
	}
	switch {
	case out.Generation > 0:
		words = append(words, fmt.Sprintf("in force as generation %d", out.Generation))
	case out.Response == nil:
		words = append(words, nothingEdited)
	}
	say("%s: %s", slug, strings.Join(words, ", "))
}

// sayRecovered tells what became of a change that was interrupted.
func sayRecovered(slug string) func(done string, err error) {
	return func(done string, err error) {
		switch {
		case err != nil:
			say("%s: an interrupted change is still open: %v", slug, err)
		case done != "":
			say("%s: an earlier command was interrupted; %s", slug, done)
		}
	}
}

// sayQueueProblems tells of files in a queue that are not what they should be.
func sayQueueProblems(slug string, problems []error) {
	const most = 3
	for _, problem := range problems[:min(len(problems), most)] {
		say("%s: refused a file of the queue: %s", slug, proposal.Clean(problem.Error(), 200))
	}
	if len(problems) > most {
		say("%s: and %d more", slug, len(problems)-most)
	}
}

func errNoProposal(id string) error {
	return withHint(fmt.Errorf("no running bottle has a proposal %q", proposal.Clean(id, 40)), "\"bottle proposals\" lists those that wait")
}

func errTwoProposals(id, a, b string) error {
	return withHint(fmt.Errorf("%s and %s both have a proposal %s", a, b, id), "say which with --slug")
}

var (
	errNoTime        = withHint(errors.New("--for needs a time above zero"), "like --for 15m")
	errNothingToSave = withHint(errors.New("only a route can be saved in a bottle file"), "leave out --save")
	errSaveNeedsYes  = withHint(errors.New("there is no terminal to ask at whether to write the bottle file"), "add --yes, or leave out --save")
	errEditOrHosts   = withHint(errors.New("either hosts or --edit"), "leave out one of them")
)

func errOneRoute(n int) error {
	return withHint(fmt.Errorf("the rule must be one route, not %d", n), "begin with \"routes:\" and one item")
}

func errNotSaved(err error) error {
	return withHint(fmt.Errorf("the approval is in force, but the bottle file was not written: %w", err), "add the route by hand")
}

func errEditor(err error) error {
	return withHint(fmt.Errorf("the editor failed, and nothing was changed: %w", err), "set VISUAL or EDITOR to one that works")
}

func errInvalidEdit(err error, path string) error {
	return withHint(fmt.Errorf("nothing was changed: %w", err), "your text is kept in %s", path)
}

// keepEdited adds to an error where the text is that it threw away; a nil error
// stays nil, with the place said.
func keepEdited(name string, text []byte, err error) error {
	path, keepErr := keepText(name, text)
	if keepErr != nil {
		return errors.Join(err, keepErr)
	}
	if err == nil {
		say("%s; your text is kept in %s", nothingEdited, path)
		return nil
	}
	return withHint(err, "your text is kept in %s", path)
}

// explainDecision adds what to do to the errors of decisions.
func explainDecision(err error) error {
	switch {
	case errors.Is(err, control.ErrReview):
		return withHint(err, "look at it with \"bottle proposals show\" and decide again")
	case errors.Is(err, control.ErrNothingToModify):
		return withHint(err, "approve or reject it")
	case errors.Is(err, control.ErrTerms):
		return withHint(err, "leave out --once and --for")
	}
	return explainChange(err)
}

// explainChange adds what to do to the errors of changes.
func explainChange(err error) error {
	switch {
	case errors.Is(err, control.ErrNotInForce):
		return withHint(err, "\"bottle routes SLUG --edit\" puts a file in force; \"bottle logs SLUG\" tells why it is not")
	case errors.Is(err, control.ErrChanged):
		return withHint(err, "start again from the routes as they are now")
	case errors.Is(err, control.ErrNoGrant):
		return withHint(err, "\"bottle info SLUG\" lists the grants")
	}
	return err
}
