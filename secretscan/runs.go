package secretscan

const (
	// minRun is the shortest run of characters that is decoded.
	minRun = 16
	// minContainer is the shortest run that can hold a container, and the
	// shortest one of base32 that may begin with something else than text.
	minContainer = 40
	// maxRun is how much of a run is held back while its end is not there;
	// of a longer one only keepRun is seen again.
	maxRun  = 16 << 10
	keepRun = 8 << 10
	// lead is how much text before a run is put before what is decoded, so
	// that rules see the name a value is assigned to.
	lead = 64
)

// runs decodes runs of base64, base32 and hexadecimal characters in text.
func (w *sweep) runs(text []byte, final bool, depth int, tell func(hit) bool) (hold int) {
	hold = len(text)
	for at := 0; at+minRun <= len(text) && !w.over; {
		begin := nextRun(text, at)
		if begin == len(text) {
			break
		}
		end, next, lines := runEnd(text, begin)
		if at = next; end-begin < minRun {
			continue
		}
		open := end == len(text) && !final
		if open {
			held := begin
			if end-begin > maxRun {
				held = end - keepRun
				held -= (held - begin) % 4
			}
			hold = min(hold, held)
		}
		w.run(text, begin, end, lines, open, depth, tell)
	}
	if !final && hold == len(text) {
		hold = w.shortRun(text)
	}
	return hold
}

// shortRun is where a run too short to be decoded ends the text, if what it
// gives begins like a match of a rule; len(text) otherwise.
func (w *sweep) shortRun(text []byte) int {
	begin := len(text)
	for begin > 0 && len(text)-begin < minRun && base64Value[text[begin-1]] != 0xff {
		begin--
	}
	run, rs := text[begin:], w.scanner.rules
	if rs == nil || len(run) >= minRun {
		return len(text)
	}
	var buf [minRun]byte
	for _, c := range []coding{base64Coding, hexCoding, base32Coding} {
		for offset := 0; offset < c.offsets && len(run)-offset > minTail; offset++ {
			if body := c.decode(buf[:0], run[offset:]); len(body) >= minTail && rs.words.within(body) {
				return begin
			}
		}
	}
	return len(text)
}

// run is one run of characters: of text, or without the line breaks in it.
type run struct {
	characters []byte
	begin, end int    // in the text
	text       []byte // between them
	whole      bool   // places in it are not known: there were line breaks
	before     int    // characters of it before these
	open       bool   // more may follow
	lead       []byte // text before it
}

// place is where the characters from one to another stand in the text.
func (r *run) place(begin, end int) (int, int) {
	if r.whole {
		return r.begin, r.end
	}
	return r.begin + begin, min(r.end, r.begin+end)
}

func (w *sweep) run(text []byte, begin, end int, lines, open bool, depth int, tell func(hit) bool) {
	r := &w.tables[depth].run
	*r = run{characters: text[begin:end], begin: begin, end: end, text: text[begin:end], open: open, lead: text[max(0, begin-lead):begin]}
	if lines {
		compact, last := joinLines(w.tables[depth].lines[:0], r.characters)
		w.tables[depth].lines, r.whole = compact, true
		// The last line may be no part of it.
		if r.characters = compact[:last]; !allHex(r.characters) { // of which the rest is told apart
			if from := (last - maxJoined) / group * group; from > 0 {
				r.characters, r.before, r.lead = compact[from:last], from, nil
			}
			w.decodeRun(r, depth, tell)
		}
		r.characters, r.before, r.lead = compact, 0, text[max(0, begin-lead):begin]
	}
	w.decodeRun(r, depth, tell)
}

func (w *sweep) decodeRun(r *run, depth int, tell func(hit) bool) {
	kind := classify(r.characters)
	if kind.hex { // no base64 looks like this
		w.decoded(r, 0, len(r.characters), depth, tell, hexCoding)
		return
	}
	if len(r.characters) >= minFirst64 {
		w.containers64(r, depth, tell)
	}
	texts64(r.characters, r.lead, &w.tables[depth].text, func(at int, text []byte, head int) {
		w.within(r, text, head, at, depth, tell, base64Coding)
	})
	w.segments(r, depth, tell)
}

// segments decodes the parts of a run that are hexadecimal or base32, which
// have no signs: a path or a name may surround them.
func (w *sweep) segments(r *run, depth int, tell func(hit) bool) {
	text := r.characters
	for begin, end := stretch(text, 0, hexValue); begin < end && !w.over; begin, end = stretch(text, end, hexValue) {
		w.decoded(r, begin, end, depth, tell, hexCoding)
	}
	for begin, end := stretch(text, 0, base32Value); begin < end && !w.over; begin, end = stretch(text, end, base32Value) {
		if begin > 0 && fold[text[begin-1]] != 0 || end < len(text) && fold[text[end]] != 0 {
			continue // a part of a word
		}
		if end-begin >= minContainer || ascii32(text[begin:]) {
			w.decoded(r, begin, end, depth, tell, base32Coding)
		}
	}
}

// decoded scans the texts that a part of a run gives, hexadecimal also from
// its second character on.
func (w *sweep) decoded(r *run, begin, end, depth int, tell func(hit) bool, c coding) {
	buf := &w.tables[depth].text
	for offset := range c.offsets {
		from := begin + offset
		out := c.decode(append((*buf)[:0], r.lead...), r.characters[from:end])
		*buf = out
		head := len(r.lead)
		w.unpack(out[head:], r.begin, r.end, !r.open || end < len(r.characters), depth, tell, func(at int) unended {
			return r.unended(c, from, at)
		})
		if size := len(out) - head; size >= gram && size < minText && ascii(out[head:]) {
			w.within(r, out[head:], 0, from, depth, tell, c) // a piece of a known value
		}
		texts(out[head:], func(first, last int) {
			if first == 0 && begin == 0 {
				w.within(r, out[:head+last], head, from, depth, tell, c)
			} else {
				w.within(r, out[head+first:head+last], 0, from+first*8/c.bits, depth, tell, c)
			}
		})
	}
}

// within scans decoded text: what comes after head stands, encoded, in the run
// from the character at on. It is judged as if nothing followed it.
func (w *sweep) within(r *run, text []byte, head, at, depth int, tell func(hit) bool, c coding) {
	if w.over {
		return
	}
	w.scan(text, true, depth+1, func(h hit) bool {
		if h.end <= head {
			return true // not in what was decoded
		}
		h.begin, h.end = r.place(at+max(0, h.begin-head)*8/c.bits, at+(h.end-head)*8/c.bits+2)
		return tell(h)
	})
}
