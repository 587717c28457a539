package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"
)

// gate keeps keys out that were typed before what they would decide was on the
// screen. After each change of what is to be decided it waits until the frame
// was written, then asks the terminal where the cursor is: the answer stands in
// the input behind all that was typed before the terminal drew the frame. A
// terminal that does not answer is given a second.
type gate struct {
	stage int
	asked int // the last stage for which the terminal was asked
	open  bool
	owed  int // answers that the terminal still owes
	after func(time.Duration, tea.Msg) tea.Cmd
}

const (
	frameTime    = 100 * time.Millisecond // some frames of the renderer
	answerWithin = time.Second
)

type (
	drawnMsg  struct{ stage int }
	silentMsg struct{ stage int }
)

// shut closes the gate until what is shown now was seen.
func (g *gate) shut() tea.Cmd {
	g.stage++
	g.open = false
	return g.after(frameTime, drawnMsg{g.stage})
}

// update moves the gate along.
func (g *gate) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case drawnMsg:
		if msg.stage != g.stage {
			return nil
		}
		g.owed++
		g.asked = g.stage
		return tea.Batch(tea.RequestCursorPosition, g.after(answerWithin, silentMsg{g.stage}))
	case tea.CursorPositionMsg:
		if g.owed > 0 {
			g.owed--
		}
		g.open = g.open || g.owed == 0 && g.asked == g.stage
	case silentMsg:
		g.open = g.open || msg.stage == g.stage
	}
	return nil
}
