package secretscan

import (
	"bytes"
	"encoding/binary"
)

const (
	// minNumbers is the shortest list of numbers that is read as characters.
	minNumbers = minText
	// maxNumbers is how much of a list is held back while its end is not there.
	maxNumbers = 8 << 10
	// dumpStride is how far apart the places are at which a text is looked at
	// for dumps: every list of minNumbers has two of them.
	dumpStride = 12
)

// numbers scans what lists of numbers give, as programs print bytes: decimal
// with commas, [115, 107, 45], and pairs of hexadecimal digits with a sign
// between them, 73 6b 2d.
func (w *sweep) numbers(text []byte, final bool, depth int, tell func(hit) bool) (hold int) {
	hold = len(text)
	list := func(begin int, read func([]byte) (int, bool)) (end int) {
		end, out := readNumbers(text, begin, read, w.tables[depth].text[:0])
		w.tables[depth].text = out
		open := end == len(text) && !final
		if len(out) >= minNumbers {
			texts(out, func(first, last int) {
				if !w.over {
					w.scan(out[first:last], !open, depth+1, func(h hit) bool {
						h.begin, h.end = begin, end
						return tell(h)
					})
				}
			})
		}
		if open && len(out) >= minTail {
			hold = min(hold, max(begin, end-maxNumbers))
		}
		return end
	}
	for at := 0; at < len(text) && !w.over; {
		comma := bytes.IndexByte(text[at:], ',')
		if comma < 0 {
			break
		}
		comma += at
		at = comma + 1
		begin := comma
		for begin > 0 && comma-begin < 3 && isDigit(text[begin-1]) {
			begin--
		}
		if begin < comma && (len(text)-at < 3 || isDigit(text[at]) || isDigit(text[at+1])) {
			at = max(at, list(begin, readDecimal))
		}
	}
	for at := dumpStride; at+dumpStride+2 <= len(text) && !w.over; at += dumpStride {
		if !repeats(text[at:]) {
			continue
		}
		for i := at; i < at+3; i++ {
			if sign := text[i]; fold[sign] == 0 && text[i+3] == sign && text[i+6] == sign && hexValue[text[i+1]] != 0xff && hexValue[text[i+2]] != 0xff {
				begin := i
				for begin >= 3 && text[begin] == sign && hexValue[text[begin-1]] != 0xff && hexValue[text[begin-2]] != 0xff {
					begin -= 3
				}
				at = max(at, list(max(0, begin), readPair))
				break
			}
		}
	}
	return hold
}

// repeats tells whether one of the first three bytes of text stands again three
// and six bytes later. There are fourteen.
func repeats(text []byte) bool {
	first := binary.LittleEndian.Uint64(text)
	differ := (first ^ binary.LittleEndian.Uint64(text[3:])) | (first ^ binary.LittleEndian.Uint64(text[6:]))
	return byte(differ) == 0 || byte(differ>>8) == 0 || byte(differ>>16) == 0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// readNumbers appends the numbers of the list that begins at begin to out.
func readNumbers(text []byte, begin int, read func([]byte) (int, bool), out []byte) (end int, _ []byte) {
	at := begin
	for at < len(text) {
		signs := 0
		for at < len(text) && fold[text[at]] == 0 && text[at] < 0x80 {
			if signs++; signs > 3 {
				return at, out
			}
			at++
		}
		if at == len(text) {
			break
		}
		value, ok := read(text[at:min(len(text), at+4)])
		if !ok {
			break
		}
		out = append(out, byte(value))
		for at < len(text) && fold[text[at]] != 0 {
			at++
		}
	}
	return at, out
}

// readDecimal reads a number of up to three digits.
func readDecimal(text []byte) (int, bool) {
	n, value := 0, 0
	for n < len(text) && isDigit(text[n]) {
		value = 10*value + int(text[n]-'0')
		n++
	}
	return value, n > 0 && value <= 0xff && (n == len(text) || fold[text[n]] == 0)
}

// readPair reads two hexadecimal digits.
func readPair(text []byte) (int, bool) {
	value, ok := hexDigits(text, 2)
	return int(value), ok && (len(text) < 3 || fold[text[2]] == 0)
}
