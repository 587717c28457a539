package secretscan

import "bytes"

const (
	// minRun is the shortest run of characters that is decoded.
	minRun = 16
	// minPlainRun is the shortest run without a digit or plus sign that is
	// decoded: shorter ones are names.
	minPlainRun = 40
	// maxRun is how much of a run is held back while its end is not there;
	// of a longer one only keepRun is seen again.
	maxRun  = 16 << 10
	keepRun = 8 << 10
	// wrapped is the least length of a line that may continue on the next.
	wrapped = 32
	// sample is how much of a run is decoded to see whether the rest is worth
	// it; a multiple of what every coding reads at once.
	sample = 64
	// lead is how much text before a run is put before what is decoded, so
	// that rules see the name a value is assigned to; trail after it.
	lead  = 64
	trail = 4
)

// runs decodes runs of base64, base32 and hexadecimal characters in text.
func (w *sweep) runs(text []byte, final bool, depth int, tell func(hit) bool) (hold int) {
	hold = len(text)
	for at := 0; at+minRun <= len(text) && !w.over; {
		// The last character that is none of the alphabet in the next minRun
		// bytes decides how far to go on.
		i := at + minRun - 1
		for i >= at && base64Value[text[i]] != 0xff {
			i--
		}
		if i >= at {
			at = i + 1
			continue
		}
		end := runEnd(text, at)
		open := end == len(text) && !final
		if open {
			held := at
			if end-at > maxRun {
				held = end - keepRun
				held -= (held - at) % 4
			}
			hold = min(hold, held)
		}
		w.run(text, at, end, open, depth, tell)
		at = end
	}
	return hold
}

// runEnd is the end of the run that begins at begin, over the line breaks that
// encoders put into long ones.
func runEnd(text []byte, begin int) int {
	for line, i := begin, begin; ; i++ {
		if i < len(text) && base64Value[text[i]] != 0xff {
			continue
		}
		next := i
		if next < len(text) && text[next] == '\r' {
			next++
		}
		if i-line < wrapped || next+wrapped/2 >= len(text) || text[next] != '\n' {
			return i
		}
		for _, c := range text[next+1 : next+1+wrapped/2] {
			if base64Value[c] == 0xff {
				return i
			}
		}
		i, line = next, next+1
	}
}

func (w *sweep) run(text []byte, begin, end int, open bool, depth int, tell func(hit) bool) {
	kind := classify(text[begin:end])
	switch {
	case end-begin < minPlainRun && !kind.numbers:
	case kind.hex: // no base64 looks like this
		for offset := range 2 {
			w.decoded(text, begin, end, open, depth, tell, offset, hexCoding)
		}
	default:
		for offset := range 4 {
			w.decoded(text, begin, end, open, depth, tell, offset, base64Coding)
		}
		w.segments(text, begin, end, open, depth, tell)
	}
}

// segments decodes the parts of a run that are hexadecimal or base32, which
// have no signs: a path or a name may surround them.
func (w *sweep) segments(text []byte, begin, end int, open bool, depth int, tell func(hit) bool) {
	for at := begin; at < end && !w.over; at++ {
		stop := at
		for stop < end && (fold[text[stop]] != 0 || text[stop] == '\n' || text[stop] == '\r') {
			stop++
		}
		if stop-at >= minRun {
			partial := open && stop == end
			kind := classify(text[at:stop])
			if kind.hex {
				w.decoded(text, at, stop, partial, depth, tell, 0, hexCoding)
				w.decoded(text, at, stop, partial, depth, tell, 1, hexCoding)
			}
			if kind.base32 {
				w.decoded(text, at, stop, partial, depth, tell, 0, base32Coding)
			}
		}
		at = stop
	}
}

// decoded scans what a run gives when decoding begins offset characters in.
func (w *sweep) decoded(text []byte, begin, end int, open bool, depth int, tell func(hit) bool, offset int, c coding) {
	if w.over || begin+offset >= end {
		return
	}
	run := text[begin+offset : end]
	if offset > 0 && len(run) >= 2*sample && !c.promising(run) {
		return
	}
	buf := &w.tables[depth].text
	before := max(0, begin-lead)
	head := begin - before
	out := c.decode(append((*buf)[:0], text[before:begin]...), run)
	bytesEnd := len(out)
	*buf = out
	body := out[head:bytesEnd]
	mapped := func(h hit) bool {
		if h.end <= head || h.begin >= bytesEnd {
			return true // not in what was decoded
		}
		h.begin = begin + offset + max(0, h.begin-head)*8/c.bits
		h.end = min(end, begin+offset+(min(h.end, bytesEnd)-head)*8/c.bits+2)
		if bytes.IndexByte(text[begin:end], '\n') >= 0 {
			h.begin, h.end = begin, end
		}
		return tell(h)
	}
	if offset == 0 {
		w.unpack(body, open, depth, begin, end, tell)
	}
	if !worthRules(body, offset) {
		// It only can hold a known value in a further encoding.
		w.scanner.known.scan(body, true, w.redact, func(h hit) bool {
			h.begin, h.end = h.begin+head, h.end+head
			return mapped(h)
		})
		return
	}
	if !open {
		after := bytes.TrimLeft(text[end:min(len(text), end+trail)], "=")
		out = append(out, after...)
		*buf = out
	}
	w.scan(out, !open, depth+1, mapped)
}
