package tui

// step moves the cursor by n rows and on in direction dir to the next one that
// can be selected; without one it stays.
func (l *list) step(n, dir int) bool {
	for i := l.cursor + n; i >= 0 && i < len(l.rows); i += dir {
		if l.rows[i].selectable() {
			l.cursor = i
			return true
		}
	}
	return false
}

// jump moves to the first row of the next or the previous bottle.
func (l *list) jump(dir int) {
	from, ok := l.at()
	if !ok {
		return
	}
	for i := l.cursor; i >= 0 && i < len(l.rows); i += dir {
		if r := l.rows[i]; r.selectable() && r.slug != from.slug {
			for i > 0 && l.rows[i-1].selectable() && l.rows[i-1].slug == r.slug {
				i--
			}
			l.cursor = i
			return
		}
	}
}

// press handles a key that moves in the list.
func (l *list) press(name string) {
	page := max(1, l.height-1)
	switch name {
	case "up", "k":
		l.step(-1, -1)
	case "down", "j":
		l.step(1, 1)
	case "pgup":
		if !l.step(-min(page, l.cursor), -1) {
			l.step(-l.cursor, 1)
		}
	case "pgdown", "space":
		if !l.step(min(page, len(l.rows)-1-l.cursor), 1) {
			l.step(len(l.rows)-1-l.cursor, -1)
		}
	case "home", "g":
		l.step(-l.cursor, 1)
	case "end", "G":
		l.step(len(l.rows)-1-l.cursor, -1)
	case "tab":
		l.jump(1)
	case "shift+tab":
		l.jump(-1)
	}
	l.clamp()
}
