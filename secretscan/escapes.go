package secretscan

import (
	"bytes"
	"html"
	"io"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// escapeNear is how much text before and after escapes is scanned with
	// them, if no known value is longer.
	escapeNear = 256
	// maxEscape is longer than any escape.
	maxEscape = 12
)

// step says that from position out on, decoded text corresponds to the source
// from position in on.
type step struct{ out, in int }

// escapes scans text with one family of escapes resolved, those that begin
// with mark: percent, backslash or ampersand.
func (w *sweep) escapes(mark byte, text []byte, final bool, depth int, tell func(hit) bool) (hold int) {
	near := escapeNear
	if w.scanner.known != nil {
		near = max(near, w.scanner.known.longest)
	}
	hold = len(text)
	for at := 0; at < len(text) && !w.over; {
		first := nextEscape(mark, text, at, final)
		if first == len(text) {
			break
		}
		end, held := w.unescape(mark, text, first, near, final, depth, tell)
		if at = end; end == len(text) && !final {
			hold = min(hold, held)
		}
	}
	return hold
}

// unescape scans the text around the escape at first and around those that follow
// it closely, all of them resolved. near is how much around them is scanned too. It
// returns where that ends.
func (w *sweep) unescape(mark byte, text []byte, first, near int, final bool, depth int, tell func(hit) bool) (end, hold int) {
	begin, end := max(0, first-near), len(text)
	table := &w.tables[depth]
	out, steps := append(table.text[:0], text[begin:first]...), append(table.steps[:0], step{0, begin})
	at, last, binary := first, first, false
	for at < len(text) {
		if at >= last+near && len(text)-at >= near {
			next := nextEscape(mark, text, at, final)
			if next == len(text) || next-last > 2*near {
				end, final = at, true
				break
			}
			last = next
		}
		n := 0
		if text[at] == mark {
			if !final && openEscape(text[at:]) {
				break
			}
			n, out = appendEscape(out, text[at:])
		}
		if n == 0 {
			next := bytes.IndexByte(text[at+1:], mark) + at + 1
			if next == at {
				next = len(text)
			}
			if stop := last + near; stop > at && len(text)-stop >= near {
				next = min(next, stop)
			}
			out = append(out, text[at:next]...)
			at = next
			continue
		}
		stands := out[len(out)-1]
		if hides(text[at:]) {
			last = at
		}
		// A plus sign after what is no character of base64, or before the sign
		// that gives a name its value, is the blank of a form.
		if mark == '%' && base64Value[stands] == 0xff {
			if blank := len(out) - 2; at > 0 && blank >= 0 && text[at-1] == '+' && (stands == '=' || stands == ':') {
				out[blank] = ' '
			}
			if at+n < len(text) && text[at+n] == '+' {
				out = append(out, ' ')
				n++
			}
		}
		binary = binary || out[len(out)-1] < '\t' || out[len(out)-1] >= 0x7f
		at += n
		steps = append(steps, step{len(out), at})
	}
	table.text, table.steps = out, steps
	source := func(p int) int {
		i := sort.Search(len(steps), func(i int) bool { return steps[i].out > p })
		limit := at
		if i < len(steps) {
			limit = steps[i].in
		}
		return min(steps[i-1].in+p-steps[i-1].out, limit)
	}
	if binary {
		for _, body := range asBytes(mark, out, text[begin:at]) {
			w.unpack(body, begin, at, final, depth, tell, func(place int) unended {
				if mark == '%' {
					return unended{} // it has a magic of its own
				}
				at := source(place + wideBefore(out, place))
				written := text[at+bytes.IndexByte(text[at:], mark):]
				return unended{at: at, decoded: func(r io.ByteReader) byteSource {
					return &escapeReader{source: r, mark: mark, bytes: len(written) > 1 && written[1] == 'x'}
				}}
			})
		}
	}
	inner := w.scan(out, final, depth+1, func(h hit) bool {
		h.begin, h.end = source(h.begin), min(end, source(h.end-1)+maxEscape)
		return tell(h)
	})
	return end, min(at, source(inner))
}

// asBytes is what out, which source with escapes stands for, may be of a
// container: percent escapes are bytes, and a plus sign is one itself or the
// blank of a form; other escapes are characters, which stand for bytes, or for
// themselves where bytes are written as such.
func asBytes(mark byte, out, source []byte) [][]byte {
	if mark == '%' {
		if bytes.IndexByte(source, '+') < 0 {
			return [][]byte{out}
		}
		return [][]byte{percentBytes(source, '+'), percentBytes(source, ' ')}
	}
	if bytes.IndexByte(out, firstLatin) < 0 && bytes.IndexByte(out, lastLatin) < 0 {
		return [][]byte{out}
	}
	latin := latinBytes(bytes.Clone(out))
	if !bytes.Contains(source, []byte(`\x`)) {
		return [][]byte{latin}
	}
	return [][]byte{latin, out}
}

// wideBefore is how many bytes more than characters the first characters of text
// have that latinBytes makes bytes of.
func wideBefore(text []byte, characters int) int {
	more := 0
	for at := 0; at < len(text) && at-more < characters; at++ {
		if isLatin(text[at:]) {
			more++
			at++
		}
	}
	return more
}

// latinBytes makes bytes of the characters from U+0080 to U+00FF, in place.
func latinBytes(text []byte) []byte {
	n := 0
	for at := 0; at < len(text); at++ {
		c := text[at]
		if isLatin(text[at:]) {
			at++
			c = c<<6 | text[at]&0x3f
		}
		text[n] = c
		n++
	}
	return text[:n]
}

// percentBytes decodes percent escapes and nothing else; plus is what a plus
// sign stands for.
func percentBytes(source []byte, plus byte) []byte {
	out := make([]byte, 0, len(source))
	for at := 0; at < len(source); at++ {
		switch c := source[at]; c {
		case '+':
			out = append(out, plus)
		case '%':
			if v, ok := hexDigits(source[at+1:], 2); ok {
				out = append(out, byte(v))
				at += 2
				continue
			}
			fallthrough
		default:
			out = append(out, c)
		}
	}
	return out
}

// What UTF-8 makes of the bytes from 0x80 on begins with one of two.
const firstLatin, lastLatin = 0xc2, 0xc3

// isLatin tells whether text begins with a character from U+0080 to U+00FF.
func isLatin(text []byte) bool {
	return len(text) > 1 && (text[0] == firstLatin || text[0] == lastLatin) && text[1]&0xc0 == 0x80
}

// nextEscape is where the next escape of the family begins that may hide a
// character of a secret, or may become one with more text; len(text) if there is
// none.
func nextEscape(mark byte, text []byte, at int, final bool) int {
	var buf [utf8.UTFMax]byte
	for at < len(text) {
		i := bytes.IndexByte(text[at:], mark)
		if i < 0 {
			break
		}
		at += i
		if !final && openEscape(text[at:]) {
			return at
		}
		n, _ := appendEscape(buf[:0], text[at:])
		if n > 0 && hides(text[at:]) {
			return at
		}
		at += max(n, 1)
	}
	return len(text)
}

// hides tells of an escape whether secrets may be written with it by chance or on
// purpose, or from rules that expect a quote before a value, or containers, in which
// every byte matters; \n stands in every JSON text, and hides no more than a line
// break.
func hides(text []byte) bool {
	if text[0] != '\\' {
		return true
	}
	switch text[1] {
	case 'u', 'U', 'x', '/', '"', '0', '1', '2', '3':
		return true
	case '\\': // an escape that was escaped itself
		return len(text) > 2 && bytes.IndexByte([]byte(`uUx/"\0123`), text[2]) >= 0
	}
	return false
}

// appendEscape reads the escape that text begins with: its length, 0 if it is
// none. It appends what the escape stands for to out.
func appendEscape(out, text []byte) (n int, _ []byte) {
	switch text[0] {
	case '%':
		if v, ok := hexDigits(text[1:], 2); ok {
			return 3, append(out, byte(v))
		}
		if len(text) > 1 && text[1] == 'u' { // as scripts write it
			if v, ok := hexDigits(text[2:], 4); ok {
				return 6, utf8.AppendRune(out, rune(v))
			}
		}
	case '\\':
		return appendBackslash(out, text)
	case '&':
		if n, v := numericEntity(text); n > 0 {
			return n, utf8.AppendRune(out, v)
		}
		end := bytes.IndexByte(text[:min(len(text), maxEscape)], ';')
		if end < 2 {
			return 0, out
		}
		entity := string(text[:end+1])
		if plain := html.UnescapeString(entity); plain != entity {
			return end + 1, append(out, plain...)
		}
	}
	return 0, out
}

// numericEntity reads a character as &#65; or &#x41;, as browsers do also
// without the semicolon: its length, 0 if it is none.
func numericEntity(text []byte) (n int, v rune) {
	if len(text) < 3 || text[1] != '#' {
		return 0, 0
	}
	base, digits := 10, 2
	if text[2]|0x20 == 'x' {
		base, digits = 16, 3
	}
	end := digits
	for end < min(len(text), maxEscape-1) && (isDigit(text[end]) || base == 16 && hexValue[text[end]] != 0xff) {
		end++
	}
	value, err := strconv.ParseUint(string(text[digits:end]), base, 21)
	if err != nil {
		return 0, 0
	}
	if end < len(text) && text[end] == ';' {
		end++
	}
	return end, rune(value)
}

func appendBackslash(out, text []byte) (n int, _ []byte) {
	if len(text) < 2 {
		return 0, out
	}
	switch text[1] {
	case 'u':
		if v, ok := hexDigits(text[2:], 4); ok {
			return 6, utf8.AppendRune(out, rune(v))
		}
		if len(text) > 2 && text[2] == '{' { // as newer languages write it
			end := bytes.IndexByte(text[:min(len(text), maxEscape)], '}')
			if v, err := strconv.ParseUint(string(text[3:max(3, end)]), 16, 21); err == nil {
				return end + 1, utf8.AppendRune(out, rune(v))
			}
		}
	case 'U':
		if v, ok := hexDigits(text[2:], 8); ok {
			return 10, utf8.AppendRune(out, rune(v))
		}
	case 'x':
		if v, ok := hexDigits(text[2:], 2); ok {
			return 4, append(out, byte(v))
		}
	case '0', '1', '2', '3':
		if v, err := strconv.ParseUint(string(text[1:min(len(text), 4)]), 8, 8); err == nil && len(text) >= 4 {
			return 4, append(out, byte(v))
		}
	case '/', '"', '\\', '\'':
		return 2, append(out, text[1])
	}
	if i := strings.IndexByte(controlLetters, text[1]); i >= 0 {
		return 2, append(out, controls[i])
	}
	return 0, out
}

// controlLetters stand, after a backslash, for the controls in their place.
const controlLetters, controls = "abfnrtv", "\a\b\f\n\r\t\v"

// openEscape tells whether text is the beginning of an escape that could be
// complete with more.
func openEscape(text []byte) bool {
	if len(text) >= maxEscape {
		return false
	}
	if n, _ := appendEscape(nil, text); n > 0 {
		return text[0] == '&' && n == len(text) && text[n-1] != ';'
	}
	switch text[0] {
	case '%':
		return len(text) < 3 && allHex(text[1:]) || len(text) < 6 && len(text) > 1 && text[1] == 'u' && allHex(text[2:])
	case '\\':
		if len(text) == 1 {
			return true
		}
		if text[1] == 'u' && len(text) > 2 && text[2] == '{' {
			return allHex(text[3:])
		}
		length := map[byte]int{'x': 4, 'u': 6, 'U': 10, '0': 4, '1': 4, '2': 4, '3': 4}[text[1]]
		return len(text) < length && allHex(text[2:])
	case '&':
		for _, c := range text[1:] {
			if c != '#' && fold[c] == 0 {
				return false
			}
		}
		return true
	}
	return false
}

func allHex(text []byte) bool {
	for _, c := range text {
		if hexValue[c] == 0xff {
			return false
		}
	}
	return true
}

func hexDigits(text []byte, n int) (value uint32, ok bool) {
	if len(text) < n {
		return 0, false
	}
	for _, c := range text[:n] {
		v := hexValue[c]
		if v == 0xff {
			return 0, false
		}
		value = value<<4 | uint32(v)
	}
	return value, true
}
