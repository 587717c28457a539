package tui

import (
	"fmt"
	"strings"
	"time"
)

// All text of the view comes from this file, and these are its rules. It is
// ASCII, so that every terminal gives it the same width. A footer names each
// key that works. Nothing here repeats a stranger's words: those are shown as
// what they are, on lines of their own that begin with a bar.

const (
	textTitle     = "bottle supervise"
	textWaiting   = "WAITING FOR YOUR ANSWER"
	textGrants    = "GRANTS IN FORCE"
	textBottles   = "BOTTLES"
	textLooking   = "looking for bottles..."
	textNoBottles = "no bottle is running; \"bottle up\" starts one"
	textNothing   = "nothing waits"

	textLoading  = "reading the proposal..."
	textChecking = "working out what would change..."
	textApplying = "putting it in force..."

	textRule        = "THE RULE, AS IT WOULD BE APPROVED"
	textDiff        = "CHANGE OF THE LIVE POLICY"
	textNoDiff      = "no file of the policy changes"
	textSameDiff    = "changes the live policy as was shown"
	textReplay      = "RECORDED REFUSALS IT WOULD HAVE LET THROUGH"
	textWords       = "THE AGENT'S WORDS (nobody checked them; they may be false)"
	textBundleWords = "THE BUNDLE'S WORDS (nobody checked them)"
	textNoWords     = "none"
	textSaved       = "CHANGE OF THE BOTTLE FILE"
	textInexact     = "This rule holds characters that cannot be shown as they are. It can only be rejected."

	textChanged     = "CHANGED since it was shown: this is the new one; look again"
	textGone        = "this proposal no longer waits: it was answered or it ended"
	textTooSoon     = "that key came before this was on the screen; press it again"
	textScroll      = "scroll down first: not all that would change was shown"
	textFixed       = "this kind cannot be modified: approve or reject it as it is"
	textUntimed     = "this kind has no duration: approve it as it is"
	textUnsavable   = "this kind cannot be saved in the bottle file"
	textUnchanged   = "the rule was not changed"
	textEditor      = "your editor: "
	textNoReason    = "a rejection needs a reason; the agent is told it"
	textBadDuration = "write a duration such as 90s, 20m or 3h, of at most 30 days"
	textBusy        = "wait until the change is in force or taken back"
	textAborted     = "nothing was changed"

	tableWaiting = "PROPOSAL\tBOTTLE\tAGE\tKIND\tWHAT"
	tableGrants  = "GRANT\tBOTTLE\tLEFT\tHOST"

	keyApprove = "a approve"
	keyFor     = "f approve for..."
	keyModify  = "m modify"

	promptReason   = "reason: "
	promptDuration = "for how long: "
)

// Footers: the keys of each screen.
var (
	keysList     = []string{"enter open", "tab next bottle", "v revoke grant", "? help", "q quit"}
	keysProposal = []string{"r reject", "up/down scroll", "esc back", "? help"}
	keysTerm     = []string{"1 once", "2 15 min", "3 1 hour", "4 other", "5 session", "6 session+save", "esc back"}
	keysConfirm  = []string{"Y (capital) do exactly this", "up/down scroll", "esc back"}
	keysInput    = []string{"enter done", "esc back"}
	keysWaitOnly = []string{"please wait"}
	keysHelp     = []string{"up/down scroll", "any other key goes back"}
	keysRetry    = []string{"e edit again", "esc back"}
)

var textHelp = []string{
	"LIST",
	"up/down, k/j, pgup/pgdn, home/end   move",
	"tab, shift+tab   next, previous bottle",
	"enter            open a proposal",
	"v                revoke the grant under the cursor",
	"q, ctrl+c        quit; bottles and proposals stay as they are",
	"",
	"PROPOSAL",
	"a   approve until the bottle ends",
	"f   approve once, for a time, or for good (saved in the bottle file)",
	"m   modify: your editor on the rule, then you see what would change",
	"r   reject, with a reason that the agent is told",
	"",
	"Nothing is decided before you said Y to host and duration, and no key",
	"counts that was typed before all that would change was on the screen.",
	"If a proposal changes meanwhile, the answer is refused and you see the",
	"new one.",
}

func textTooSmall(w, h int) string {
	return fmt.Sprintf("too small: %dx%d, need %dx%d", w, h, minWidth, minHeight)
}

func textCounts(waiting, grants, bottles int) string {
	return fmt.Sprintf("%d waiting, %s, %s", waiting, count(grants, "grant"), count(bottles, "bottle"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func textMore(above, below bool, left int) string {
	switch {
	case below:
		return fmt.Sprintf("-- %s below ", count(left, "more line"))
	case above:
		return "-- the end "
	}
	return ""
}

func textProblems(n int, first string) string {
	return fmt.Sprintf("%s of its queue ignored: %s", count(n, "file"), first)
}

func textFlood(n int) string {
	return fmt.Sprintf("%d wait, more than an honest bundle files; listed last", n)
}

func textBottle(waiting, grants int) string {
	if waiting == 0 && grants == 0 {
		return textNothing
	}
	return fmt.Sprintf("%d waiting, %s", waiting, count(grants, "grant"))
}

func textAsks(slug, kind string) string {
	switch kind {
	case "egress-block":
		return slug + " asks for a route"
	case "pipelock-block":
		return slug + " asks for a host"
	case "capability-block":
		return slug + " wishes a change"
	case "finding":
		return slug + " asks to clear a finding"
	case "git-push":
		return slug + " asks to push"
	}
	return slug + " asks: " + kind
}

func textFiled(age string) string { return "filed " + age + " ago" }

func textReplaySum(n, unnamed int) string {
	if n == 0 {
		return "would have let through none of the recorded refusals"
	}
	if unnamed == 0 {
		return fmt.Sprintf("would have let through %s, named by the agent", count(n, "recorded refusal"))
	}
	return fmt.Sprintf("would have let through %s, %d of them NOT NAMED by the agent", count(n, "recorded refusal"), unnamed)
}

func textRefusal(r Refusal) string {
	named := "named    "
	if !r.Named {
		named = "NOT NAMED"
	}
	return fmt.Sprintf("%s %4dx %s %s%s (%s)", named, r.Count, r.Method, r.Host, r.Path, r.Rule)
}

func textMoreRefusals(n int) string { return fmt.Sprintf("and %d more", n) }

func textConfirm(a Act, timed bool) string {
	switch {
	case a.Verdict == Reject:
		return "REJECT, with this reason"
	case a.Verdict == Modify:
		return "APPROVE AS MODIFIED, " + textTerm(a.Term)
	case !timed:
		return "APPROVE"
	}
	return "APPROVE, " + textTerm(a.Term)
}

// textTerm says how long an approval holds.
func textTerm(t Term) string {
	words := "until the bottle ends"
	switch {
	case t.Once:
		words = "for one request"
	case t.For > 0:
		words = "for " + textDuration(t.For)
	}
	if t.Save {
		words += ", and saved in the bottle file"
	}
	return words
}

func textRevoke(host, slug string) string {
	return "REVOKE the grant of " + host + " in " + slug
}

// textDuration is exact: nothing is rounded away.
func textDuration(d time.Duration) string {
	var parts []string
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := d / unit.of; n > 0 {
			parts = append(parts, count(int(n), unit.name))
			d -= n * unit.of
		}
	}
	return strings.Join(parts, " ")
}

// textAge is short, for a column.
func textAge(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 100*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// textLeft is what is left of a grant.
func textLeft(g Grant, now time.Time) string {
	uses := fmt.Sprintf("%dx", g.Left)
	if g.Left < 0 {
		uses = "?x"
	}
	switch {
	case g.Ended:
		return "ended"
	case g.Uses > 0 && !g.Expires.IsZero():
		return uses + " " + textAge(g.Expires.Sub(now))
	case g.Uses > 0:
		return uses
	case !g.Expires.IsZero():
		return textAge(g.Expires.Sub(now))
	}
	return "session"
}

func textFailed(err string) string { return "NOT DONE: " + err }

func textCannotRead(err string) string { return "cannot be read: " + err }

func textScripts(names []string) string {
	return "NOT ASCII, its letters can look like others: " + strings.Join(names, " and ")
}
