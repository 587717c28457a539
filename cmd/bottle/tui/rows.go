package tui

import (
	"strings"
	"time"

	"github.com/claude-bottle/claude-bottle/proposal"
)

// visible are the lines on the screen.
func (l *list) visible(width int, now time.Time) []line {
	var lines []line
	for i := l.offset; i < min(l.offset+l.height, len(l.rows)); i++ {
		lines = append(lines, l.rows[i].line(width, now, i == l.cursor))
	}
	return lines
}

// line is the row as it is shown. What a stranger can influence stands last.
func (r row) line(width int, now time.Time, here bool) line {
	mark := "  "
	as := r.as
	if here && r.selectable() {
		mark, as = "> ", selected
	}
	slug := pad(r.slug, 18)
	if width < 60 {
		slug = pad(r.slug, 10)
	}
	switch {
	case r.item != nil:
		text := mark + pad(textAge(now.Sub(r.item.Created)), 4) + slug + " "
		if width >= 60 {
			text += pad(strings.TrimSuffix(plain(r.item.Kind), "-block"), 10) + " "
		}
		return line{fit(text+proposal.Clean(r.item.Subject, maxRow), width), as}
	case r.grant != nil:
		return line{fit(mark+pad(textLeft(*r.grant, now), 9)+slug+" "+proposal.Clean(r.grant.Subject, maxRow), width), as}
	case r.slug != "":
		return line{fit(mark+slug+" "+r.text, width), as}
	case r.as == heading:
		return line{fit(r.text, width), as}
	}
	return line{fit(mark+r.text, width), as}
}
