package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"
)

// press handles a key.
func (m *model) press(msg tea.KeyPressMsg) tea.Cmd {
	name := msg.String()
	if name == "ctrl+c" {
		return m.quit()
	}
	if m.small() { // nothing is decided on what cannot be seen
		if name == "q" {
			return m.quit()
		}
		return nil
	}
	switch m.mode {
	case reading, choosing, typing, confirming:
		m.note = "" // elsewhere it stays until something else is done
	}
	m.list.touched = true
	switch m.mode {
	case listing:
		return m.pressList(name)
	case reading:
		return m.pressDetail(name)
	case choosing:
		return m.pressTerm(name)
	case typing:
		return m.pressInput(name, msg.Text)
	case confirming:
		return m.pressConfirm(name)
	case retrying:
		switch name {
		case "e":
			m.note = ""
			return m.openEditor()
		case "esc", "q":
			m.note = ""
			m.back()
		}
	case helping:
		if !m.aid.press(name) {
			m.mode = m.before
			m.refill()
		}
	}
	return nil
}

// quit ends the view, after what is being put in force.
func (m *model) quit() tea.Cmd {
	if m.mode == applying {
		m.quitting = true
		return nil
	}
	return tea.Quit
}

func (m *model) help() {
	m.before, m.mode = m.mode, helping
	m.aid.offset = 0
}

func (m *model) pressList(name string) tea.Cmd {
	switch name {
	case "q":
		return m.quit()
	case "?":
		m.help()
	case "enter", "right", "l":
		if r, ok := m.list.at(); ok && r.item != nil {
			return m.enter(r.key)
		}
	case "v":
		if r, ok := m.list.at(); ok && r.grant != nil {
			m.askRevoke(r.slug, *r.grant)
		}
	default:
		m.list.press(name)
	}
	return nil
}

// enter opens a proposal.
func (m *model) enter(k key) tea.Cmd {
	m.mode, m.open, m.detail, m.banner, m.gone, m.asked = reading, k, nil, "", false, false
	m.note = ""
	m.pane = pane{height: m.body()}
	m.refill()
	return m.show()
}

// leave goes back to the list.
func (m *model) leave() {
	m.mode, m.open, m.detail, m.banner, m.asked, m.grant, m.act = listing, key{}, nil, "", false, nil, Act{}
}

// back returns from a question to the proposal, or to the list.
func (m *model) back() {
	if m.grant != nil {
		m.leave()
		return
	}
	m.mode, m.asked, m.act, m.edited = reading, false, Act{}, nil
	m.refill()
}

// stepBack returns from a question about an answer to where it was asked.
func (m *model) stepBack() {
	if m.asked {
		m.mode = confirming
		return
	}
	m.back()
}

func (m *model) pressDetail(name string) tea.Cmd {
	if m.pane.press(name) {
		return nil
	}
	switch name {
	case "esc", "q", "left", "h":
		m.leave()
	case "?":
		m.help()
	case "a", "f", "m", "r":
		// To reject takes nothing but the proposal's identity: the prompt opens at
		// once, so that what is typed for it is never taken for keys.
		if m.detail == nil || name == "r" && m.gone || name != "r" && !m.ready() {
			return nil
		}
		if m.banner == textChanged {
			m.banner = ""
		}
		return m.decide(name)
	}
	return nil
}

// ready tells whether what would be decided was on the screen before the key
// was pressed, and says why not.
func (m *model) ready() bool {
	switch {
	case m.gone:
		m.say(warning, textGone)
	case !m.pane.seen():
		m.say(warning, textScroll)
	case !m.gate.open:
		m.say(warning, textTooSoon)
	default:
		return true
	}
	return false
}

// decide begins an answer.
func (m *model) decide(name string) tea.Cmd {
	if name != "r" && !m.exact {
		m.say(warning, textInexact)
		return nil
	}
	m.act = Act{Slug: m.open.slug, ID: m.open.id, Review: m.detail.Review, Verdict: Approve}
	m.asShown = asShown{m.detail.Diff, m.detail.Timed}
	switch name {
	case "a":
		return m.check()
	case "f":
		if !m.detail.Timed {
			m.say(warning, textUntimed)
			return nil
		}
		m.mode = choosing
	case "m":
		if m.detail.Editable == nil {
			m.say(warning, textFixed)
			return nil
		}
		m.act.Verdict, m.edited = Modify, m.detail.Editable
		return m.openEditor()
	case "r":
		m.act.Verdict = Reject
		m.mode, m.input = typing, input{prompt: promptReason, done: m.reasonTyped}
	}
	return nil
}

func (m *model) pressTerm(name string) tea.Cmd {
	var t Term
	switch name {
	case "1":
		t.Once = true
	case "2":
		t.For = 15 * time.Minute
	case "3":
		t.For = time.Hour
	case "4":
		m.mode, m.input = typing, input{prompt: promptDuration, done: m.durationTyped}
		return nil
	case "5":
	case "6":
		if !m.detail.Savable {
			m.say(warning, textUnsavable)
			return nil
		}
		t.Save = true
	case "esc", "q":
		m.stepBack()
		return nil
	default:
		return nil
	}
	m.act.Term = t
	return m.check()
}

func (m *model) pressInput(name, text string) tea.Cmd {
	switch name {
	case "esc":
		m.stepBack()
	case "enter":
		return m.input.done(m.input.text)
	case "backspace":
		m.input.erase()
	case "ctrl+u":
		m.input.text = ""
	default:
		m.input.insert(text)
	}
	return nil
}

// durationTyped reads how long an approval is to hold.
func (m *model) durationTyped(text string) tea.Cmd {
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d > maxDuration {
		m.say(warning, textBadDuration)
		return nil
	}
	m.act.Term = Term{For: d.Truncate(time.Second)}
	return m.check()
}

// reasonTyped takes the reason of a rejection.
func (m *model) reasonTyped(text string) tea.Cmd {
	if text = plain(text); text == "" {
		m.say(warning, textNoReason)
		return nil
	}
	m.act.Reason = text
	m.preview = Preview{Host: m.detail.Host}
	m.confirm()
	return nil
}

func (m *model) pressConfirm(name string) tea.Cmd {
	if m.pane.press(name) {
		return nil
	}
	switch name {
	case "esc", "q", "n":
		m.back()
		m.say(normal, textAborted)
	case "f":
		if m.grant == nil && m.detail != nil && m.detail.Timed && m.act.Verdict != Reject {
			m.mode = choosing
		}
	case "Y":
		if !m.ready() {
			return nil
		}
		if !m.exact {
			m.say(warning, textInexact)
			return nil
		}
		return m.apply()
	}
	return nil
}
