package tui

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// maxRefusals of a replay are listed; the sum tells of the rest.
const maxRefusals = 12

// words builds the lines of a pane.
type words struct {
	width int
	lines []line
	// exact is false when a rule could not be shown as it is.
	exact bool
}

func newWords(width int) *words { return &words{width: width, exact: true} }

// block adds text behind first, going on behind rest when it is longer than a
// line. Both have the same width.
func (w *words) block(as style, first, rest, text string) {
	for i, part := range wrap(text, w.width-columns(first)) {
		prefix := first
		if i > 0 {
			prefix = rest
		}
		w.lines = append(w.lines, line{strings.TrimRight(prefix+part, " "), as})
	}
}

func (w *words) head(text string) { w.block(heading, "", "", text) }
func (w *words) blank()           { w.lines = append(w.lines, line{}) }

// field adds a name and what it is.
func (w *words) field(as style, name, text string) {
	w.block(as, pad(name, 9), strings.Repeat(" ", 9), text)
}

// rule adds lines that must be shown as they are.
func (w *words) rule(lines []string) {
	for _, text := range lines {
		clean := spaced(text)
		w.exact = w.exact && clean == text
		w.block(normal, "  ", "    ", clean)
	}
}

// diff adds the lines of a difference.
func (w *words) diff(lines []string) {
	for _, text := range lines {
		as := normal
		switch {
		case strings.HasPrefix(text, "+"):
			as = added
		case strings.HasPrefix(text, "-"):
			as = removed
		}
		w.block(as, "  ", "    ", spaced(text))
	}
}

// host adds a host as it is compared and, when that is another, as Unicode
// writes it.
func (w *words) host(ascii string) {
	if ascii == "" {
		return
	}
	w.field(heading, "host", plain(ascii))
	if written := inUnicode(ascii); written != "" {
		w.field(warning, "written", written)
		w.field(warning, "", formatScripts(written))
	}
}

// spaced is plain with the blanks as they are.
func spaced(text string) string {
	if len(text) > 4*maxText {
		return plain(text)
	}
	parts := strings.Split(text, " ")
	for i, part := range parts {
		parts[i] = plain(part)
	}
	return strings.Join(parts, " ")
}

// inUnicode is a host's form in Unicode; "" when it is the same.
func inUnicode(ascii string) string {
	written, err := idna.Display.ToUnicode(ascii)
	if written = plain(written); err != nil || written == plain(ascii) {
		return ""
	}
	return written
}

// formatScripts warns of letters that are not ASCII, naming their scripts.
func formatScripts(written string) string {
	var names []string
	for name, table := range unicode.Scripts {
		if name != "Common" && strings.ContainsFunc(written, func(r rune) bool { return unicode.Is(table, r) }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return textScripts(names)
}

// content is a proposal in full. need of them must be seen before it is decided;
// exact is false when the rule cannot be shown as it is.
func (d *Detail) content(width int) (lines []line, need int, exact bool) {
	w := newWords(width)
	w.host(d.Host)
	w.head(textRule)
	w.rule(d.Rule)
	if !w.exact {
		w.block(warning, "", "", textInexact)
	}
	unnamed, sum := 0, 0
	for _, r := range d.Replay {
		sum += r.Count
		if !r.Named {
			unnamed += r.Count
		}
	}
	if d.ReplayNote == "" || sum > 0 {
		as := normal
		if unnamed > 0 {
			as = warning
		}
		w.block(as, "", "", textReplaySum(sum, unnamed))
	}
	if d.ReplayNote != "" {
		w.block(normal, "", "", plain(d.ReplayNote))
	}
	w.head(textDiff)
	if len(d.Diff) == 0 {
		w.block(normal, "  ", "  ", textNoDiff)
	}
	w.diff(d.Diff)
	need = len(w.lines)
	w.blank()
	w.words(d.Words, d.ByBundle)
	if len(d.Replay) > 0 {
		w.blank()
		w.replay(d.Replay)
	}
	return w.lines, need, w.exact
}

// words adds a stranger's words, each line marked as such.
func (w *words) words(text string, bundle bool) {
	if bundle {
		w.head(textBundleWords)
	} else {
		w.head(textWords)
	}
	if text = plain(text); text == "" {
		text = textNoWords
	}
	w.block(strangers, "| ", "| ", text)
}

func (w *words) replay(refusals []Refusal) {
	w.head(textReplay)
	refusals = slices.Clone(refusals)
	slices.SortStableFunc(refusals, func(a, b Refusal) int { // what was not named first
		switch {
		case a.Named == b.Named:
			return 0
		case b.Named:
			return -1
		}
		return 1
	})
	for i, r := range refusals {
		if i == maxRefusals {
			w.block(normal, "  ", "  ", textMoreRefusals(len(refusals)-i))
			break
		}
		as := normal
		if !r.Named {
			as = warning
		}
		r.Method, r.Host, r.Path, r.Rule = plain(r.Method), plain(r.Host), plain(r.Path), plain(r.Rule)
		w.block(as, "  ", "    ", textRefusal(r))
	}
}

// asShown is what the proposal's own screen told.
type asShown struct {
	diff  []string
	timed bool
}

// content is what an operator says yes to. A change of the live policy that is
// as it was shown with the proposal is not shown again.
func (p Preview) content(a Act, shown asShown, width int) (lines []line, exact bool) {
	w := newWords(width)
	w.head(textConfirm(a, shown.timed))
	w.field(normal, "bottle", plain(a.Slug))
	w.host(p.Host)
	if a.Verdict == Reject {
		w.field(normal, "reason", plain(a.Reason))
		return w.lines, true
	}
	w.head(textRule)
	w.rule(p.Rule)
	if !w.exact {
		w.block(warning, "", "", textInexact)
	}
	switch {
	case len(p.Diff) == 0:
		w.block(normal, "", "", textNoDiff)
	case slices.Equal(p.Diff, shown.diff):
		w.block(normal, "", "", textSameDiff)
	default:
		w.head(textDiff)
		w.diff(p.Diff)
	}
	if a.Term.Save {
		w.head(textSaved)
		w.block(normal, "  ", "    ", plain(p.SavePath))
		w.diff(p.SaveDiff)
	}
	return w.lines, w.exact
}
