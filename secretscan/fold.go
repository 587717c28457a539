package secretscan

import (
	"encoding/binary"
	"strings"
	"sync"
)

// scanFolded reports known values whose letters and digits stand in text in
// this order, whatever stands between them and in whatever case, and pieces of
// dumps of them. It returns the position from which on more text could make one.
// buf is memory to work in, which is returned; for the rest see scan.
func (k *known) scanFolded(text, buf []byte, final, longAlone bool, report func(hit) bool) (hold int, _ []byte) {
	if k == nil || k.folded == nil {
		return len(text), buf
	}
	folded := appendFolded(buf, text)
	open := len(folded)
	if !final {
		open = k.folded.tail(folded)
	}
	apart := spread{text: text}
	k.folded.find(folded, func(at int, candidates []pattern) bool {
		for _, p := range candidates {
			switch rest := folded[at:]; {
			case p.stream != nil:
				if h, told := k.piece(folded, at, p, longAlone); told {
					if h.begin, h.end = unfold(text, h.begin, h.end); !report(h) {
						return false
					}
				}
			case len(p.text) > len(rest):
				if !final && strings.HasPrefix(p.text, string(rest)) {
					open = min(open, at)
				}
			case string(rest[:len(p.text)]) == p.text && (p.exact == "" || apart.find(at, p.exact)):
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

// pairs has for every two bytes, the first in the lower half of the index, the
// letters and digits that they fold to. Above these stands how many there are,
// and above that whether the second byte is a backslash, which may make a
// separator of the next.
var pairs = sync.OnceValue(func() *[1 << 16]uint32 {
	var table [1 << 16]uint32
	for i := range table {
		both := [2]byte{byte(i), byte(i >> 8)}
		var folded [2]byte
		n := 0
		for at := range both {
			n = foldByte(folded[:], n, both[:], at)
		}
		table[i] = uint32(folded[0]) | uint32(folded[1])<<8 | uint32(n)<<pairCount
		if both[1] == '\\' {
			table[i] |= pairOpen
		}
	}
	return &table
})

const (
	pairCount = 16
	pairOpen  = 1 << 24
)

// appendFolded is the letters and digits of text in lower case, in the memory
// of buf. The letters of \n, \r and \t separate, as what they stand for does.
func appendFolded(buf, text []byte) []byte {
	if need := len(text) + 1; cap(buf) < need { // a pair is written whole
		buf = make([]byte, need)
	}
	folded, n, at := buf[:len(text)+1], 0, 0
	if len(text) >= 8 {
		for table := pairs(); at+8 <= len(text); {
			eight := eightAt(text, at)
			p0, p1, p2, p3 := table[uint16(eight)], table[uint16(eight>>16)], table[uint16(eight>>32)], table[uint16(eight>>48)]
			if (p0|p1|p2|p3)&pairOpen != 0 {
				for end := at + 8; at < len(text) && (at < end || text[at-1] == '\\'); at++ {
					n = foldByte(folded, n, text, at)
				}
				continue
			}
			n = putPair(folded, n, p0)
			n = putPair(folded, n, p1)
			n = putPair(folded, n, p2)
			n = putPair(folded, n, p3)
			at += 8
		}
	}
	for ; at < len(text); at++ {
		n = foldByte(folded, n, text, at)
	}
	return folded[:n]
}

// putPair writes what a pair folds to at n and returns where it ends.
func putPair(folded []byte, n int, pair uint32) int {
	binary.LittleEndian.PutUint16(folded[n:n+2:n+2], uint16(pair))
	return n + int(pair>>pairCount)
}

// foldByte is putPair for the byte of text at a place.
func foldByte(folded []byte, n int, text []byte, at int) int {
	if c := fold[text[at]]; c != 0 && !separates(text, at) {
		folded[n] = c
		n++
	}
	return n
}

// separates tells whether the letter at a place, after a backslash, is no
// letter of a value.
func separates(text []byte, at int) bool {
	return at > 0 && text[at-1] == '\\' && (text[at] == 'n' || text[at] == 'r' || text[at] == 't')
}

func foldString(s string) string { return string(appendFolded(nil, view(s))) }

// unfold tells where the letters and digits number begin to end-1 stand.
func unfold(text []byte, begin, end int) (from, to int) {
	n := 0
	for i := range text {
		if fold[text[i]] == 0 || separates(text, i) {
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
