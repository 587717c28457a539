package tui

import (
	"bytes"
	"context"
	"errors"

	tea "charm.land/bubbletea/v2"
)

type (
	previewMsg struct {
		act     Act
		preview Preview
		err     error
	}
	appliedMsg struct {
		told string
		err  error
	}
	editedMsg struct {
		text []byte
		err  error
	}
)

// check works out what the act would change, before it is asked whether to do
// it.
func (m *model) check() tea.Cmd {
	m.mode = checking
	act := m.act
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, readWithin)
		defer cancel()
		p, err := m.desk.Preview(ctx, act)
		return previewMsg{act, p, err}
	}
}

func (m *model) previewed(msg previewMsg) tea.Cmd {
	if m.mode != checking {
		return nil // the proposal changed or went while this was worked out
	}
	if msg.err != nil {
		m.say(warning, textFailed(plain(msg.err.Error())))
		if errors.Is(msg.err, ErrChanged) {
			m.back()
			return m.show()
		}
		if msg.act.Verdict == Modify {
			m.mode = retrying
			return nil
		}
		m.back()
		return nil
	}
	m.preview = msg.preview
	m.confirm()
	return nil
}

// confirm shows what would be done and asks.
func (m *model) confirm() {
	m.mode, m.asked = confirming, true
	m.pane = pane{height: m.body()}
	m.refill()
}

// askRevoke shows which grant would end and asks.
func (m *model) askRevoke(slug string, g Grant) {
	m.open, m.detail, m.grant, m.note = key{}, nil, &g, ""
	m.act = Act{Slug: slug}
	m.exact, m.gone = true, false
	m.confirm()
}

// revocation is what an operator says yes to when a grant is to end.
func (m *model) revocation(width int) []line {
	w := newWords(width)
	w.head(textRevoke(plain(m.grant.Host), plain(m.act.Slug)))
	w.host(m.grant.Host)
	w.field(normal, "bottle", plain(m.act.Slug))
	w.field(normal, "left", textLeft(*m.grant, m.now()))
	return w.lines
}

// apply does what was confirmed. It is not bound to a time: what it changes is
// either in force or taken back when it returns.
func (m *model) apply() tea.Cmd {
	m.mode = applying
	act, grant := m.act, m.grant
	return func() tea.Msg {
		var msg appliedMsg
		if grant != nil {
			msg.told, msg.err = m.desk.Revoke(m.ctx, act.Slug, grant.ID)
		} else {
			msg.told, msg.err = m.desk.Apply(m.ctx, act)
		}
		return msg
	}
}

func (m *model) applied(msg appliedMsg) tea.Cmd {
	slug := m.act.Slug
	switch {
	case msg.err == nil:
		m.leave()
		m.say(normal, plain(msg.told))
	case errors.Is(msg.err, ErrChanged):
		m.say(warning, textFailed(plain(msg.err.Error())))
		m.back()
		m.interrupt(textChanged)
	default:
		m.say(warning, textFailed(plain(msg.err.Error())))
		m.back()
	}
	if m.quitting {
		return tea.Quit
	}
	delete(m.next, slug)
	cmds := []tea.Cmd{m.look(slug)}
	if m.open != (key{}) {
		cmds = append(cmds, m.show())
	}
	return tea.Batch(cmds...)
}

// openEditor gives the terminal to the operator's editor.
func (m *model) openEditor() tea.Cmd {
	e, err := m.desk.Edit(m.edited)
	if err != nil {
		m.back()
		m.say(warning, textFailed(plain(err.Error())))
		return nil
	}
	return m.exec(e.Command, func(err error) tea.Msg {
		var text []byte
		if err == nil {
			text, err = e.Read()
		}
		return editedMsg{text, errors.Join(err, e.Done())}
	})
}

// edit takes in what the editor left.
func (m *model) edit(msg editedMsg) tea.Cmd {
	switch {
	case m.act.Verdict != Modify:
		return nil // interrupted while the editor was open
	case msg.err != nil:
		m.back()
		m.say(warning, textFailed(textEditor+plain(msg.err.Error())))
		return nil
	case len(bytes.TrimSpace(msg.text)) == 0 || m.detail != nil && bytes.Equal(msg.text, m.detail.Editable):
		m.back()
		m.say(normal, textUnchanged)
		return nil
	}
	m.edited, m.act.Rule = msg.text, msg.text
	return m.check()
}
