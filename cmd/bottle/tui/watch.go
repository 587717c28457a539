package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"
)

// slugs asks which bottles there are.
func (m *model) slugs() tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, readWithin)
		defer cancel()
		slugs, err := m.desk.Slugs(ctx)
		return slugsMsg{slugs, err}
	}
}

// look asks for one bottle, unless it was asked already: a bottle that is slow
// to read holds up no other, and takes no more than a part of the time.
func (m *model) look(slug string) tea.Cmd {
	if m.looking[slug] || m.now().Before(m.next[slug]) {
		return nil
	}
	m.looking[slug] = true
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, readWithin)
		defer cancel()
		start := m.now()
		b, err := m.desk.Look(ctx, slug)
		return lookMsg{slug, b, err, m.now().Sub(start)}
	}
}

// show asks for the open proposal.
func (m *model) show() tea.Cmd {
	if m.showing {
		return nil
	}
	m.showing = true
	k := m.open
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, readWithin)
		defer cancel()
		d, err := m.desk.Show(ctx, k.slug, k.id)
		return showMsg{k, d, err}
	}
}

// listed takes in which bottles there are and looks at each.
func (m *model) listed(msg slugsMsg) tea.Cmd {
	if msg.err != nil {
		m.trouble = textCannotRead(plain(msg.err.Error()))
		return nil
	}
	m.trouble = ""
	m.list.keep(msg.slugs)
	var cmds []tea.Cmd
	for _, slug := range msg.slugs {
		cmds = append(cmds, m.look(slug))
	}
	return tea.Batch(append(cmds, m.follow(""))...)
}

// follow keeps the open proposal in step with the queue: what changed there is
// read anew, what is gone is said.
func (m *model) follow(slug string) tea.Cmd {
	if m.open == (key{}) || slug != "" && slug != m.open.slug {
		return nil
	}
	if _, failed := m.list.failed[m.open.slug]; failed {
		return nil
	}
	_, runs := m.list.bottles[m.open.slug]
	item, waits := m.list.item(m.open)
	switch {
	case !runs, slug != "" && !waits:
		if !m.gone && m.mode != applying {
			m.gone = true
			m.interrupt(textGone)
		}
		return nil
	case m.detail != nil && waits && item.Review != m.detail.Review, slug == "" && m.ticks%showEvery == 0:
		return m.show()
	}
	return nil
}

// shown takes in the open proposal.
func (m *model) shown(msg showMsg) tea.Cmd {
	m.showing = false
	if msg.key != m.open {
		if m.open != (key{}) {
			return m.show()
		}
		return nil
	}
	if msg.err != nil {
		m.detail, m.banner = nil, textCannotRead(plain(msg.err.Error()))
		m.interrupt(m.banner)
		return nil
	}
	if m.detail != nil && m.detail.Review != msg.detail.Review {
		m.interrupt(textChanged)
	}
	m.detail = &msg.detail
	m.refill()
	return nil
}
