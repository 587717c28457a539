package tui

import "slices"

// style says what a line is, for those whose terminal shows colours. Nothing
// is told by a style alone.
type style int

const (
	normal style = iota
	heading
	strangers // the agent's words
	warning
	added
	removed
	selected
	faint
)

// line is one line of the screen.
type line struct {
	text string
	as   style
}

// pane shows lines that may be more than fit, and remembers how many of them
// were on the screen.
type pane struct {
	lines []line
	// need is how many lines, from the first, must have been shown before
	// anything may be decided on them.
	need   int
	offset int
	height int
	shown  int // lines[:shown] were on the screen
}

// set replaces the content. When something that must be seen is another than
// before, it must be seen anew: fresh is true then.
func (p *pane) set(lines []line, need int) (fresh bool) {
	same := need == p.need && len(p.lines) >= need && len(lines) >= need &&
		slices.Equal(lines[:need], p.lines[:need])
	p.lines, p.need = lines, need
	if !same {
		p.shown = 0
	}
	p.shown = min(p.shown, len(lines))
	p.clamp()
	return !same
}

// resize says how many lines fit.
func (p *pane) resize(height int) {
	p.height = max(height, 1)
	p.clamp()
}

func (p *pane) clamp() {
	p.offset = max(0, min(p.offset, len(p.lines)-p.height))
}

// scroll moves by n lines.
func (p *pane) scroll(n int) {
	p.offset += n
	p.clamp()
}

// press handles the keys that scroll, and tells whether name is one.
func (p *pane) press(name string) bool {
	page := max(1, p.height-1)
	switch name {
	case "up", "k":
		p.scroll(-1)
	case "down", "j":
		p.scroll(1)
	case "pgup":
		p.scroll(-page)
	case "pgdown", "space":
		p.scroll(page)
	case "home", "g":
		p.scroll(-len(p.lines))
	case "end", "G":
		p.scroll(len(p.lines))
	default:
		return false
	}
	return true
}

// mark notes what is on the screen now, and tells whether lines that must be
// seen are among it for the first time.
func (p *pane) mark() (news bool) {
	end := min(p.offset+p.height, len(p.lines))
	if p.offset > p.shown || end <= p.shown {
		return false // scrolled past lines that were never shown
	}
	news = p.shown < p.need
	p.shown = end
	return news
}

// seen tells whether all that must be seen was on the screen.
func (p *pane) seen() bool { return p.shown >= p.need }

// visible are the lines on the screen.
func (p *pane) visible() []line {
	return p.lines[p.offset:min(p.offset+p.height, len(p.lines))]
}

// more tells whether there are lines above and below.
func (p *pane) more() (above, below bool) {
	return p.offset > 0, p.offset+p.height < len(p.lines)
}
