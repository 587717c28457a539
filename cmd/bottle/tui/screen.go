package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

// dress gives a line its colours. Without any, marks and words tell as much.
func (m *model) dress(l line) string {
	if !m.colours || l.text == "" {
		return l.text
	}
	s := lipgloss.NewStyle()
	switch l.as {
	case heading:
		s = s.Bold(true)
	case strangers:
		s = s.Foreground(lipgloss.Cyan)
	case warning:
		s = s.Foreground(lipgloss.Yellow).Bold(true)
	case added:
		s = s.Foreground(lipgloss.Green)
	case removed:
		s = s.Foreground(lipgloss.Red)
	case selected:
		s = s.Reverse(true)
	case faint:
		s = s.Faint(true)
	default:
		return l.text
	}
	return s.Render(l.text)
}

// body is how many lines lie between title and separator.
func (m *model) body() int { return max(1, m.height-4-len(m.status())) }

// View implements tea.Model.
func (m *model) View() tea.View {
	v := tea.NewView(m.screen())
	v.AltScreen = true
	return v
}

// screen is the whole screen: a title, the body, a separator that tells of
// more, a line for what happened last, and two lines of keys.
func (m *model) screen() string {
	switch {
	case m.width <= 0 || m.height <= 0:
		return ""
	case m.small():
		return fit(textTooSmall(m.width, m.height), m.width)
	}
	body, above, below, left := m.content()
	lines := make([]line, 0, m.height)
	lines = append(lines, m.title())
	lines = append(lines, body...)
	for len(lines) < 1+m.body() {
		lines = append(lines, line{})
	}
	rule := textMore(above, below, left)
	lines = append(lines, line{rule + strings.Repeat("-", max(0, m.width-len(rule))), faint})
	lines = append(lines, m.status()...)
	lines = append(lines, m.footer()...)
	var out strings.Builder
	for i, l := range lines {
		if i > 0 {
			out.WriteByte('\n')
		}
		l.text = fit(l.text, m.width)
		out.WriteString(m.dress(l))
	}
	return out.String()
}

// content is the body's lines and what lies beyond them.
func (m *model) content() (lines []line, above, below bool, left int) {
	switch m.mode {
	case listing:
		end := m.list.offset + m.list.height
		return m.list.visible(m.width, m.now()), m.list.offset > 0, end < len(m.list.rows), len(m.list.rows) - end
	case helping:
		above, below = m.aid.more()
		return m.aid.visible(), above, below, len(m.aid.lines) - m.aid.offset - m.aid.height
	}
	above, below = m.pane.more()
	return m.pane.visible(), above, below, len(m.pane.lines) - m.pane.offset - m.pane.height
}

// title is the first line.
func (m *model) title() line {
	left, right := textTitle, ""
	if m.mode == listing || m.mode == helping {
		waiting, grants := m.list.counts()
		right = textCounts(waiting, grants, len(m.list.bottles))
	} else if m.detail != nil {
		left = textAsks(plain(m.open.slug), plain(m.detail.Kind))
		right = textFiled(textAge(m.now().Sub(m.detail.Created)))
	}
	gap := m.width - columns(left) - columns(right)
	if gap < 2 {
		return line{left, heading}
	}
	return line{left + strings.Repeat(" ", gap) + right, heading}
}

// maxStatus is how many lines there are for what happened last.
const maxStatus = 4

// status is what stands above the keys: what is typed, what must be known, or
// what happened last. It has at least one line.
func (m *model) status() []line {
	text, as := "", normal
	switch {
	case m.mode == typing && m.note == "":
		return []line{{m.input.view(m.width), normal}}
	case m.mode == checking:
		text = textChecking
	case m.mode == applying && m.quitting:
		text, as = textBusy, warning
	case m.mode == applying:
		text = textApplying
	case m.note != "":
		text, as = m.note, m.noteAs
	case m.mode != listing && m.banner != "":
		text, as = m.banner, warning
	case m.trouble != "":
		text, as = m.trouble, warning
	}
	parts := wrap(text, m.width)
	if len(parts) > maxStatus {
		parts = parts[:maxStatus]
		parts[maxStatus-1] = fit(parts[maxStatus-1], m.width-2) + " ~"
	}
	var lines []line
	for _, part := range parts {
		lines = append(lines, line{part, as})
	}
	if m.mode == typing {
		lines = append(lines, line{m.input.view(m.width), normal})
	}
	return lines
}

// footer is the keys that work, in two lines.
func (m *model) footer() []line {
	lines := []string{"", ""}
	at := 0
	for _, k := range m.keys() {
		switch {
		case lines[at] == "":
			lines[at] = k
		case columns(lines[at])+2+columns(k) <= m.width:
			lines[at] += "  " + k
		case at == 0:
			at = 1
			lines[at] = k
		}
	}
	return []line{{lines[0], faint}, {lines[1], faint}}
}

func (m *model) keys() []string {
	switch m.mode {
	case reading:
		return m.keysDetail()
	case choosing:
		return keysTerm
	case typing:
		return keysInput
	case retrying:
		return keysRetry
	case confirming:
		return keysConfirm
	case helping:
		return keysHelp
	case checking, applying:
		return keysWaitOnly
	}
	return keysList
}

// keysDetail are the keys that work on the proposal that is shown.
func (m *model) keysDetail() []string {
	keys := []string{keyApprove}
	if m.detail != nil && m.detail.Timed {
		keys = append(keys, keyFor)
	}
	if m.detail != nil && m.detail.Editable != nil {
		keys = append(keys, keyModify)
	}
	return append(keys, keysProposal...)
}
