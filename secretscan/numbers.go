package secretscan

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
)

const (
	// minNumbers is the shortest list of numbers that is read as characters.
	minNumbers = 10
	// maxNumber is the length of the longest number.
	maxNumber = 4
	// maxNumbers is how much of a list is held back while its end is not there.
	maxNumbers = 8 << 10
	// dumpStride is how far apart the places are at which a text is looked at
	// for dumps: every list of minNumbers has two of them.
	dumpStride = 12
)

// numbers scans what lists of numbers give, as programs print bytes: decimal
// with commas, [115, 107, 45], hexadecimal as in programs, 0x73, 0x6b, and pairs
// of hexadecimal digits with a sign between them, 73 6b 2d.
func (w *sweep) numbers(text []byte, final bool, depth int, tell func(hit) bool) (hold int) {
	hold = len(text)
	list := func(begin int, read func([]byte) (int, bool)) (end int) {
		end, out := readNumbers(text, begin, len(text), read, w.tables[depth].text[:0])
		w.tables[depth].text = out
		// The last number may be cut.
		open := !final && len(text)-end < maxNumber && !slices.ContainsFunc(text[end:], func(c byte) bool { return fold[c] == 0 })
		if len(out) >= minNumbers {
			w.unpack(out, begin, end, !open, depth, tell, func(at int) unended {
				first, _ := readNumbers(text, begin, at, read, nil)
				return unended{at: first, decoded: func(r io.ByteReader) byteSource {
					return &numberReader{source: r, read: read}
				}}
			})
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
		switch next := at; {
		case comma >= 4 && isHexNumber(text[comma-4:comma]):
			at = max(at, list(comma-4, readHexNumber))
		case begin < comma:
			if next += blanks(text[next:]); next == len(text) || isDigit(text[next]) {
				at = max(at, list(begin, readDecimal))
			}
		}
	}
	for at := dumpStride; at+dumpStride+2 <= len(text) && !w.over; at += dumpStride {
		if !repeats(text[at:]) {
			continue
		}
		for i := at; i < at+3; i++ {
			if sign := text[i]; fold[sign] == 0 && text[i+3] == sign && text[i+6] == sign && hexValue[text[i+1]] != 0xff && hexValue[text[i+2]] != 0xff {
				begin := i // the sign after the first pair, then its first digit
				for begin >= 5 && text[begin-3] == sign && hexValue[text[begin-4]] != 0xff && hexValue[text[begin-5]] != 0xff {
					begin -= 3
				}
				for n := 0; n < 2 && begin > 0 && hexValue[text[begin-1]] != 0xff; n++ {
					begin--
				}
				at = max(at, list(begin, readPair))
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

// readNumbers appends the numbers of the list that begins at begin to out, as many
// as most at most.
func readNumbers(text []byte, begin, most int, read func([]byte) (int, bool), out []byte) (end int, _ []byte) {
	at := begin
	for ; at < len(text) && most > 0; most-- {
		for signs := 0; at < len(text) && fold[text[at]] == 0 && text[at] < 0x80; at += max(1, blanks(text[at:])) {
			if signs++; signs > maxSigns {
				return at, out
			}
		}
		if at == len(text) {
			break
		}
		value, ok := read(text[at:min(len(text), at+maxNumber)])
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

// maxSigns is how many signs stand between two numbers of a list, blank space as
// one.
const maxSigns = 3

// maxBlanks is how much blank space stands between two numbers of a list.
const maxBlanks = 64

// blanks is the length of the blank space that text begins with.
func blanks(text []byte) int {
	n := 0
	for n < len(text) && n < maxBlanks && (text[n] == ' ' || text[n] == '\n' || text[n] == '\r' || text[n] == '\t') {
		n++
	}
	return n
}

// isHexNumber tells whether text begins with a byte as 0x73.
func isHexNumber(text []byte) bool {
	if text[0] != '0' || text[1] != 'x' && text[1] != 'X' {
		return false
	}
	_, ok := hexDigits(text[2:], 2)
	return ok
}

// readHexNumber reads a byte as 0x73.
func readHexNumber(text []byte) (int, bool) {
	if len(text) < 4 || !isHexNumber(text) {
		return 0, false
	}
	value, _ := hexDigits(text[2:], 2)
	return int(value), true
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
