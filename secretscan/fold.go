package secretscan

import (
	"bytes"
	"strings"
)

// scanFolded reports known values whose letters and digits stand in text in
// this order, whatever stands between them and in whatever case, and returns
// the position from which on more text could make one. buf is memory to work
// in, which is returned.
func (k *known) scanFolded(text, buf []byte, final bool, report func(hit) bool) (hold int, _ []byte) {
	if k == nil || k.folded == nil {
		return len(text), buf
	}
	folded := appendFolded(buf, text)
	open := len(folded)
	if !final {
		open = k.folded.tail(folded)
	}
	k.folded.find(folded, func(at int, candidates []pattern) bool {
		for _, p := range candidates {
			switch rest := folded[at:]; {
			case len(p.text) > len(rest):
				if !final && strings.HasPrefix(p.text, string(rest)) {
					open = min(open, at)
				}
			case string(rest[:len(p.text)]) == p.text:
				begin, end := unfold(text, at, at+len(p.text))
				if !report(k.hit(p.value, begin, end)) {
					return false
				}
			}
		}
		return true
	})
	if open == len(folded) {
		return len(text), folded
	}
	hold, _ = unfold(text, open, open+1)
	return hold, folded
}

// fold maps letters and digits to themselves in lower case, all else to 0.
var fold = func() (table [256]byte) {
	for c := range 256 {
		switch b := byte(c); {
		case b >= 'a' && b <= 'z', b >= '0' && b <= '9':
			table[c] = b
		case b >= 'A' && b <= 'Z':
			table[c] = b + 'a' - 'A'
		}
	}
	return table
}()

// folds is fold with how many bytes are kept above it.
var folds = func() (table [256]uint16) {
	for c, f := range fold {
		if table[c] = uint16(f); f != 0 {
			table[c] |= 1 << 8
		}
	}
	return table
}()

// appendFolded is the letters and digits of text in lower case, in the memory
// of buf. The letters of \n, \r and \t separate, as what they stand for does.
func appendFolded(buf, text []byte) []byte {
	if need := len(text); cap(buf) < need {
		buf = make([]byte, need)
	}
	folded, n := buf[:len(text)], 0
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\\')
		if end < 0 {
			end = len(text)
		}
		for _, c := range text[:end] {
			f := folds[c]
			folded[n] = byte(f)
			n += int(f >> 8)
		}
		if separates(text, end+1) {
			end++
		}
		text = text[min(len(text), end+1):]
	}
	return folded[:n]
}

// separates tells whether the letter at a place, after a backslash, is no
// letter of a value.
func separates(text []byte, at int) bool {
	return at < len(text) && (text[at] == 'n' || text[at] == 'r' || text[at] == 't')
}

func foldString(s string) string { return string(appendFolded(nil, view(s))) }

// unfold tells where the letters and digits number begin to end-1 stand.
func unfold(text []byte, begin, end int) (from, to int) {
	n := 0
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && separates(text, i+1) {
			i++
			continue
		}
		if fold[text[i]] == 0 {
			continue
		}
		if n == begin {
			from = i
		}
		if n++; n == end {
			return from, i + 1
		}
	}
	return from, len(text)
}
