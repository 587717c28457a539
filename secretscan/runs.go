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
	if end-begin < minPlainRun && !bytes.ContainsAny(text[begin:end], "0123456789+") {
		return
	}
	for offset := range 4 {
		w.decoded(text, begin, end, open, depth, tell, offset, base64Coding)
	}
	// Hexadecimal and base32 have no signs: a path or a name may surround them.
	for at := begin; at < end && !w.over; at++ {
		stop := at
		for stop < end && (fold[text[stop]] != 0 || text[stop] == '\n' || text[stop] == '\r') {
			stop++
		}
		if stop-at >= minRun {
			w.segment(text, at, stop, open && stop == end, depth, tell)
		}
		at = stop
	}
}

// segment decodes letters and digits alone.
func (w *sweep) segment(text []byte, begin, end int, open bool, depth int, tell func(hit) bool) {
	kind := classify(text[begin:end])
	if kind.hex {
		for offset := range 2 {
			w.decoded(text, begin, end, open, depth, tell, offset, hexCoding)
		}
	}
	if kind.base32 {
		w.decoded(text, begin, end, open, depth, tell, 0, base32Coding)
	}
}

type runKind struct{ hex, base32 bool }

func classify(run []byte) runKind {
	kind := runKind{true, true}
	for _, c := range run {
		kind.hex = kind.hex && (hexValue[c] != 0xff || c == '\n' || c == '\r')
		kind.base32 = kind.base32 && (base32Value[c] != 0xff || c == '\n' || c == '\r')
		if !kind.hex && !kind.base32 {
			break
		}
	}
	return kind
}

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

// decoded scans what a run gives when decoding begins offset characters in.
func (w *sweep) decoded(text []byte, begin, end int, open bool, depth int, tell func(hit) bool, offset int, c coding) {
	if w.over || begin+offset >= end {
		return
	}
	buf := &w.tables[depth].text
	before := max(0, begin-lead)
	head := begin - before
	out := append((*buf)[:0], text[before:begin]...)
	acc, have := uint32(0), 0
	for _, character := range text[begin+offset : end] {
		v := c.values[character]
		if v == 0xff {
			continue // a line break
		}
		acc = acc<<c.bits | uint32(v)
		if have += c.bits; have >= 8 {
			have -= 8
			out = append(out, byte(acc>>have))
		}
	}
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
	if !worthRules(body, offset) {
		// It only can hold a known value in a further encoding.
		w.scanner.known.scan(body, w.redact, func(h hit) bool {
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
	if len(body) >= 4*minRun && offset == 0 {
		return true
	}
	sample := body[:min(len(body), 4*minRun)]
	printable := 0
	for _, c := range sample {
		if c >= ' ' && c <= '~' || c == '\n' || c == '\r' || c == '\t' {
			printable++
		}
	}
	return printable*8 >= len(sample)*7
}
