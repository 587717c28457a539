package tui

import (
	"slices"
	"strings"

	"github.com/claude-bottle/claude-bottle/proposal"
)

// key names a row that can be selected, whatever moves around it.
type key struct{ slug, id string }

// row is one row of the list.
type row struct {
	key
	item  *Item  // a proposal
	grant *Grant // or a grant
	text  string // or words
	as    style
}

func (r row) selectable() bool { return r.item != nil || r.grant != nil }

// list is the overview: what waits, what is granted, which bottles there are.
type list struct {
	bottles map[string]Bottle
	failed  map[string]string // why a bottle could not be looked at
	known   bool              // the bottles were listed once
	rows    []row
	touched bool // a key was pressed: the cursor stays with its row
	cursor  int
	offset  int
	height  int
}

// keep forgets the bottles that ended.
func (l *list) keep(slugs []string) {
	l.known = true
	for slug := range l.bottles {
		if !slices.Contains(slugs, slug) {
			delete(l.bottles, slug)
		}
	}
	for slug := range l.failed {
		if !slices.Contains(slugs, slug) {
			delete(l.failed, slug)
		}
	}
	for _, slug := range slugs {
		if _, ok := l.bottles[slug]; !ok {
			l.bottles[slug] = Bottle{Slug: slug}
		}
	}
	l.build()
}

// put replaces what is known of a bottle.
func (l *list) put(slug string, b Bottle, err error) {
	delete(l.failed, slug)
	if err != nil {
		l.failed[slug] = plain(err.Error())
	} else {
		b.Slug = slug
		l.bottles[slug] = b
	}
	l.build()
}

// order is by name; a bottle that floods comes behind the others.
func (l *list) order() []string {
	slugs := make([]string, 0, len(l.bottles))
	for slug := range l.bottles {
		slugs = append(slugs, slug)
	}
	flooded := func(slug string) bool { return len(l.bottles[slug].Waiting) > proposal.MaxOpen }
	slices.SortFunc(slugs, func(a, b string) int {
		switch fa, fb := flooded(a), flooded(b); {
		case fa && !fb:
			return 1
		case fb && !fa:
			return -1
		}
		return strings.Compare(a, b)
	})
	return slugs
}

// build makes the rows anew. The selected one stays selected and where it is on
// the screen.
func (l *list) build() {
	old, had := l.at()
	before := l.cursor
	slugs := l.order()
	l.rows = l.rows[:0:0]
	waiting := l.section(slugs, func(b Bottle) (rows []row) {
		for i := range b.Waiting {
			rows = append(rows, row{key: key{b.Slug, b.Waiting[i].ID}, item: &b.Waiting[i]})
		}
		return rows
	})
	grants := l.section(slugs, func(b Bottle) (rows []row) {
		for i := range b.Grants {
			rows = append(rows, row{key: key{b.Slug, "grant " + b.Grants[i].ID + " " + b.Grants[i].Host}, grant: &b.Grants[i]})
		}
		return rows
	})
	l.head(textWaiting)
	if len(waiting) == 0 {
		l.rows = append(l.rows, row{text: textNothing, as: faint})
	}
	l.rows = append(l.rows, waiting...)
	if len(grants) > 0 {
		l.head(textGrants)
		l.rows = append(l.rows, grants...)
	}
	l.head(textBottles)
	l.rows = append(l.rows, l.section(slugs, l.state)...)
	if len(slugs) == 0 {
		text := textLooking
		if l.known {
			text = textNoBottles
		}
		l.rows = append(l.rows, row{text: text, as: faint})
	}
	l.restore(old, had, before)
}

func (l *list) head(text string) { l.rows = append(l.rows, row{text: text, as: heading}) }

func (l *list) section(slugs []string, of func(Bottle) []row) []row {
	var rows []row
	for _, slug := range slugs {
		rows = append(rows, of(l.bottles[slug])...)
	}
	return rows
}

// state is what there is to say of a bottle as such.
func (l *list) state(b Bottle) []row {
	rows := []row{{key: key{slug: b.Slug}, text: textBottle(len(b.Waiting), len(b.Grants))}}
	add := func(text string) {
		rows = append(rows, row{key: key{slug: b.Slug}, text: text, as: warning})
	}
	if len(b.Waiting) > proposal.MaxOpen {
		add(textFlood(len(b.Waiting)))
	}
	if n := len(b.Problems); n > 0 {
		add(textProblems(n, proposal.Clean(b.Problems[0], maxRow)))
	}
	if b.Note != "" {
		add(proposal.Clean(b.Note, maxRow))
	}
	if why, ok := l.failed[b.Slug]; ok {
		add(textCannotRead(why))
	}
	return rows
}

// restore puts the cursor back on the row old. One that is gone is followed by
// its neighbour; without one the first row that can be selected is.
func (l *list) restore(old row, had bool, before int) {
	if !l.touched {
		l.cursor, l.offset, had = 0, 0, false
	}
	if had {
		if i := slices.IndexFunc(l.rows, func(r row) bool { return r.selectable() && r.key == old.key }); i >= 0 {
			l.cursor = i
			l.offset += i - before
			l.clamp()
			return
		}
	}
	l.cursor = 0
	if had {
		l.cursor = l.nearest(before, old)
	}
	if !l.step(0, 1) && !l.step(0, -1) {
		l.cursor = 0
	}
	l.clamp()
}

// nearest is where to go from a row that is gone: to the next of its sort, else
// the last of it, else about where it was.
func (l *list) nearest(at int, gone row) int {
	same := func(r row) bool { return r.selectable() && (r.item != nil) == (gone.item != nil) }
	at = min(at, len(l.rows)-1)
	if i := slices.IndexFunc(l.rows[at:], same); i >= 0 {
		return at + i
	}
	for i := at; i >= 0; i-- {
		if same(l.rows[i]) {
			return i
		}
	}
	return at
}

// at is the row under the cursor, when one is selected.
func (l *list) at() (row, bool) {
	if l.cursor < 0 || l.cursor >= len(l.rows) || !l.rows[l.cursor].selectable() {
		return row{}, false
	}
	return l.rows[l.cursor], true
}

func (l *list) resize(height int) {
	l.height = max(1, height)
	l.clamp()
}

// clamp keeps the cursor on the screen, with the head above the first row.
func (l *list) clamp() {
	l.offset = max(0, min(l.offset, len(l.rows)-l.height))
	if l.cursor < l.offset {
		l.offset = l.cursor
	}
	if l.cursor >= l.offset+l.height {
		l.offset = l.cursor - l.height + 1
	}
	if l.offset == 1 && l.cursor < l.height {
		l.offset = 0
	}
}

// counts are what the title tells.
func (l *list) counts() (waiting, grants int) {
	for _, b := range l.bottles {
		waiting += len(b.Waiting)
		grants += len(b.Grants)
	}
	return waiting, grants
}

// item finds a proposal that waits.
func (l *list) item(k key) (Item, bool) {
	for _, item := range l.bottles[k.slug].Waiting {
		if item.ID == k.id {
			return item, true
		}
	}
	return Item{}, false
}
