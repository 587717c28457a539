package tui

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/claude-bottle/claude-bottle/proposal"
)

const (
	// maxText is how much of a stranger's text is shown at all, in characters.
	maxText = 4000
	// maxRow is how much of it in one row of the list.
	maxRow = 300
)

// plain is text fit for one line of a terminal, whoever wrote it.
func plain(text string) string { return proposal.Clean(text, maxText) }

// cells is the most columns that a terminal may give to r. Terminals differ in
// combining marks, ambiguous characters and emoji; counting the worst case of
// each, no line ever grows longer than the screen.
func cells(r rune) int {
	if r < 0x7f || unicode.Is(unicode.M, r) {
		return 1
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth, width.EastAsianAmbiguous:
		return 2
	}
	if unicode.Is(unicode.So, r) { // symbols and emoji, regional indicators too
		return 2
	}
	return 1
}

// columns is the most columns that text may take.
func columns(text string) int {
	n := 0
	for _, r := range text {
		n += cells(r)
	}
	return n
}

// wider tells whether text may take more than n columns.
func wider(text string, n int) bool {
	for _, r := range text {
		if n -= cells(r); n < 0 {
			return true
		}
	}
	return false
}

// fit cuts text to at most n columns; a cut ends with "~".
func fit(text string, n int) string {
	if !wider(text, n) {
		return text
	}
	used := 0
	for i, r := range text {
		if used += cells(r); used > n-1 {
			return text[:i] + "~"[:min(1, max(0, n))]
		}
	}
	return text
}

// pad is fit, filled up with blanks.
func pad(text string, n int) string {
	text = fit(text, n)
	return text + strings.Repeat(" ", max(0, n-columns(text)))
}

// wrap breaks text into lines of at most n columns, between words where that
// is possible and never before a combining mark. There is always one line.
func wrap(text string, n int) []string {
	n = max(n, 8)
	var lines []string
	for wider(text, n) {
		used, cut, blank := 0, 0, -1
		for i, r := range text {
			if i > 0 && !unicode.Is(unicode.M, r) {
				cut = i
				if r == ' ' {
					blank = i
				}
			}
			if used += cells(r); used > n {
				break
			}
		}
		if blank > 0 {
			cut = blank
		}
		if cut == 0 { // one character with more marks than are ever shown
			return append(lines, text)
		}
		lines = append(lines, strings.TrimRight(text[:cut], " "))
		text = strings.TrimLeft(text[cut:], " ")
	}
	return append(lines, text)
}
