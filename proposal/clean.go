package proposal

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxMarks is how many combining marks may stand on one character: real
// languages need no more.
const maxMarks = 3

// Clean makes a stranger's text fit to be shown on one line of a terminal: in
// NFC, without control, bidirectional, invisible and unassigned characters and
// without terminal sequences, white space as single blanks, at most max
// characters; a cut ends with "…". Clean(Clean(s)) is Clean(s).
func Clean(text string, max int) string {
	if max <= 0 {
		return ""
	}
	if most := 16 * max; len(text) > most { // the work stays bounded
		for most > 0 && !utf8.RuneStart(text[most]) {
			most--
		}
		text = text[:most] + "…"
	}
	visible := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError:
			return '\uFFFD'
		case !unicode.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) || blank(r):
			return -1
		}
		return r
	}, sequences.ReplaceAllString(text, ""))
	out := make([]rune, 0, min(len(visible), max+1))
	marks, cut := 0, false
	for _, r := range norm.NFC.String(strings.Join(strings.Fields(visible), " ")) {
		if unicode.Is(unicode.M, r) {
			if marks++; marks > maxMarks {
				continue
			}
		} else {
			marks = 0
		}
		if len(out) == max {
			cut = true
			break
		}
		out = append(out, r)
	}
	if cut {
		out[max-1] = '…'
	}
	return norm.NFC.String(strings.TrimSpace(string(out)))
}

// blank characters are letters or symbols to Unicode and nothing to the eye.
func blank(r rune) bool {
	switch r {
	case '\u034F', '\u115F', '\u1160', '\u2800', '\u3164', '\uFFA0', '\U0001D159':
		return true
	}
	return false
}

// sequences are terminal escape sequences (ECMA-48), taken out whole so that no
// parameters of theirs stay behind as text.
var sequences = regexp.MustCompile(`(\x1b\[|\x{9b})[0-?]*[ -/]*[@-~]?|(\x1b[\]PX^_]|[\x{9d}\x{90}])[^\x07\x1b\x{9c}]*`)
