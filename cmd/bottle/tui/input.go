package tui

import (
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// maxInput is how long a typed answer may be, in bytes.
const maxInput = 500

// input is one line that the operator types.
type input struct {
	prompt string
	text   string
	// done is told what was typed.
	done func(text string) tea.Cmd
}

// insert adds text at the end, as one line.
func (i *input) insert(text string) {
	clean := plain(text)
	if strings.HasPrefix(text, " ") {
		clean = " " + clean
	}
	if len(i.text)+len(clean) <= maxInput {
		i.text += clean
	}
}

// erase takes back one character.
func (i *input) erase() {
	_, n := utf8.DecodeLastRuneInString(i.text)
	i.text = i.text[:len(i.text)-n]
}

// view is the prompt with the end of what was typed.
func (i *input) view(width int) string {
	text := i.text
	for text != "" && columns(i.prompt)+columns(text)+1 > width {
		_, n := utf8.DecodeRuneInString(text)
		text = text[n:]
	}
	return i.prompt + text + "_"
}
