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

// The alphabets, as the value of each character, 0xff for any other.
var (
	base64Value = alphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "-+", "_/")
	base32Value = alphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "aA", "bB", "cC", "dD", "eE", "fF", "gG", "hH", "iI",
		"jJ", "kK", "lL", "mM", "nN", "oO", "pP", "qQ", "rR", "sS", "tT", "uU", "vV", "wW", "xX", "yY", "zZ")
	hexValue = alphabet("0123456789abcdef", "Aa", "Bb", "Cc", "Dd", "Ee", "Ff")
)

func alphabet(characters string, same ...string) *[256]byte {
	var table [256]byte
	for i := range table {
		table[i] = 0xff
	}
	for i := range len(characters) {
		table[characters[i]] = byte(i)
	}
	for _, pair := range same {
		table[pair[0]] = table[pair[1]]
	}
	return &table
}

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

// runKind tells what a run can be; numbers tells whether it is more than
// letters and the signs of paths and names.
type runKind struct{ hex, base32, numbers bool }

func classify(run []byte) runKind {
	var all, any uint8 = isHex | isBase32, 0
	for _, c := range run {
		all &= runClass[c]
		any |= runClass[c]
		if all == 0 && any&isNumber != 0 {
			break
		}
	}
	return runKind{all&isHex != 0, all&isBase32 != 0, any&isNumber != 0}
}

const (
	isHex uint8 = 1 << iota
	isBase32
	isNumber
)

var runClass = func() (table [256]uint8) {
	for i := range table {
		c := byte(i)
		if hexValue[c] != 0xff || c == '\n' || c == '\r' {
			table[c] |= isHex
		}
		if base32Value[c] != 0xff || c == '\n' || c == '\r' {
			table[c] |= isBase32
		}
		if c >= '0' && c <= '9' || c == '+' {
			table[c] |= isNumber
		}
	}
	return table
}()

// coding is how characters of a run become bytes.
type coding struct {
	values *[256]byte
	bits   int
}

var (
	base64Coding = coding{base64Value, 6}
	base32Coding = coding{base32Value, 5}
	hexCoding    = coding{hexValue, 4}
)

// decode appends what characters give to out, passing over line breaks.
func (c coding) decode(out, characters []byte) []byte {
	acc, have := uint32(0), 0
	for i := 0; i < len(characters); i++ {
		if c.bits == 6 && have == 0 {
			for ; i+4 <= len(characters); i += 4 {
				v0, v1 := c.values[characters[i]], c.values[characters[i+1]]
				v2, v3 := c.values[characters[i+2]], c.values[characters[i+3]]
				if (v0|v1|v2|v3)&0x80 != 0 {
					break
				}
				out = append(out, v0<<2|v1>>4, v1<<4|v2>>2, v2<<6|v3)
			}
			if i == len(characters) {
				break
			}
		}
		v := c.values[characters[i]]
		if v == 0xff {
			continue
		}
		acc = acc<<c.bits | uint32(v)
		if have += c.bits; have >= 8 {
			have -= 8
			out = append(out, byte(acc>>have))
		}
	}
	return out
}

// promising tells whether a part of a run gives text; it looks at its
// beginning, middle and end.
func (c coding) promising(run []byte) bool {
	var buf [sample]byte
	for _, at := range []int{0, (len(run) - sample) / 2 &^ 7, (len(run) - sample) &^ 7} {
		if printable(c.decode(buf[:0], run[at:at+sample])) {
			return true
		}
	}
	return false
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

// worthRules tells whether decoded bytes may hold text.
func worthRules(body []byte, offset int) bool {
	return len(body) >= sample && offset == 0 || printable(body[:min(len(body), sample)])
}

// printable tells whether nearly all bytes are those of text.
func printable(body []byte) bool {
	n := 0
	for _, c := range body {
		if c >= ' ' && c <= '~' || c == '\n' || c == '\r' || c == '\t' {
			n++
		}
	}
	return n*8 >= len(body)*7
}
