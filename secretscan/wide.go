package secretscan

import (
	"bytes"
	"unicode/utf8"
)

// maxZeros is how many zero bytes stand between the characters of wide text.
const maxZeros = 3

// wide scans the characters of UTF-16 and UTF-32 text, of either byte order.
func (w *sweep) wide(text []byte, final bool, depth int, tell func(hit) bool) (hold int) {
	hold = len(text)
	for at := 0; !w.over; {
		zero := bytes.IndexByte(text[at:], 0)
		if zero < 0 {
			return hold
		}
		begin := max(at, at+zero-1)
		end, out := characters(text, begin, w.tables[depth].text[:0])
		w.tables[depth].text = out
		open := end == len(text) && !final
		if open && len(out) >= minTail {
			hold = min(hold, max(begin, end-maxRun))
		}
		if len(out) >= gram {
			w.scan(out, !open, depth+1, func(h hit) bool {
				h.begin, h.end = begin, end
				return tell(h)
			})
		}
		for at = end; at < len(text) && text[at] == 0; {
			at++
		}
		if at == len(text) {
			return hold
		}
	}
	return hold
}

// characters appends the characters of the wide text at begin to out and
// returns its end: where two characters stand side by side, or too many zeros.
func characters(text []byte, begin int, out []byte) (end int, _ []byte) {
	for at := begin; at < len(text); {
		if c := text[at]; c != 0 {
			out = utf8.AppendRune(out, rune(c))
			at++
		}
		zeros := 0
		for at < len(text) && text[at] == 0 && zeros <= maxZeros {
			zeros++
			at++
		}
		if zeros > maxZeros || zeros == 0 && at < len(text) {
			return at, out
		}
	}
	return len(text), out
}
