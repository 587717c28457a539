package secretscan

import (
	"bytes"
	"sync"
)

// maxDepth is how many encodings around a secret are taken off, beside the one
// in which known values are found as they stand.
const maxDepth = 2

// hit is a secret found in a text.
type hit struct {
	rule       string
	begin, end int // where it stands in the text that was scanned
	secret     string
}

// sweep is one scan of one text, with everything that is decoded from it.
type sweep struct {
	scanner *Scanner
	// report is told every hit; false ends the sweep.
	report func(hit) bool
	over   bool
	// redact reports long fragments of known values instead of adding
	// fragments up.
	redact bool
	// goesOn is told of containers that go on after the text; may be nil.
	goesOn func(unended)
	// found is the finding that take made of a hit in text.
	found *Finding
	place string
	text  []byte

	tables [maxDepth + 1]scratch
	folded []byte
	spots  []spots // by rule; empty between calls of match
	used   []int   // rules that have spots
	// bound are methods as values, which are made once.
	bound struct{ tell, take func(hit) bool }
}

var sweeps = sync.Pool{New: func() any {
	w := new(sweep)
	w.bound.tell, w.bound.take = w.tell, w.take
	return w
}}

// release gives a sweep back with the memory it works in and nothing else.
func (w *sweep) release() {
	w.scanner, w.report, w.over, w.redact, w.goesOn = nil, nil, false, false, nil
	w.found, w.place, w.text = nil, "", nil
	sweeps.Put(w)
}

// tell reports a hit until one ends the sweep.
func (w *sweep) tell(h hit) bool {
	if !w.over && !w.report(h) {
		w.over = true
	}
	return !w.over
}

// take keeps the first hit that is not cleared.
func (w *sweep) take(h hit) bool {
	w.found = w.scanner.finding(w.place, h)
	if w.found != nil {
		w.found.Offset = int64(h.begin)
		w.found.Line = 1 + bytes.Count(w.text[:h.begin], []byte("\n"))
	}
	return w.found == nil
}

// scratch is the memory for what is decoded at one depth.
type scratch struct {
	text  []byte
	run   run
	lines []byte // the characters of a run of several lines
	steps []step
}

// scan looks for secrets in text. final says that nothing follows. It returns
// the position from which on text must be seen again together with what
// follows, because a secret may have begun there.
func (w *sweep) scan(text []byte, final bool, depth int, tell func(hit) bool) (hold int) {
	hold = w.scanner.known.scan(text, final, w.redact, tell)
	if !w.over {
		var held int
		held, w.folded = w.scanner.known.scanFolded(text, w.folded, final, w.redact, tell)
		hold = min(hold, held)
	}
	if !w.over {
		hold = min(hold, w.match(text, final, tell))
	}
	if depth == maxDepth || w.over {
		return w.settle(text, final, hold)
	}
	hold = min(hold, w.runs(text, final, depth, tell))
	for _, mark := range []byte(`%\&`) {
		if !w.over {
			hold = min(hold, w.escapes(mark, text, final, depth, tell))
		}
	}
	if !w.over {
		hold = min(hold, w.numbers(text, final, depth, tell))
	}
	if !w.over {
		hold = min(hold, w.wide(text, final, depth, tell))
	}
	return w.settle(text, final, hold)
}

func (w *sweep) settle(text []byte, final bool, hold int) int {
	if final {
		return len(text)
	}
	return hold
}
