package secretscan

import (
	"encoding/binary"
	"slices"
	"strings"
)

const (
	// minWord is the length of the shortest word, and of the core by which a
	// word is searched for.
	minWord = 3
	// coreBits is the width of the hash of a core. The table of the first look
	// must fit the fastest cache.
	coreBits = 15
	// lowerCase makes letters of eight bytes lower case; other characters may
	// collide, which costs a comparison.
	lowerCase = 0x2020202020202020
)

// words finds where words begin in a text, letters in either case. A word is
// recognised by its core, those three bytes of it that are the rarest in other
// text, and compared only where these stand.
type words struct {
	maybe  [1 << coreBits]uint8  // by hash: whether three bytes may be a core
	slots  [1 << coreBits]uint16 // by hash: the list of the words with that core, 0 for none
	lists  [][]coredWord
	heads  map[string]bool // beginnings of words, for the end of a text
	length int             // of the longest word
}

// coredWord is a word and where its core stands in it.
type coredWord struct {
	word   string
	number int
	core   int
	// head is the beginning of the word as a number, of the bytes in mask.
	head, mask uint64
}

// newWords numbers the words by their place in the list; all are lower case
// and have three bytes or more.
func newWords(list []string) *words {
	w := &words{lists: make([][]coredWord, 1), heads: make(map[string]bool)}
	for number, word := range list {
		core := coreOf(word)
		hash := coreHash(firstEight(word[core:]))
		w.maybe[hash] = 1
		slot := &w.slots[hash]
		if *slot == 0 {
			*slot = uint16(len(w.lists))
			w.lists = append(w.lists, nil)
		}
		mask := ^uint64(0) >> (8 * max(0, 8-len(word)))
		w.lists[*slot] = append(w.lists[*slot], coredWord{word, number, core, firstEight(word) & mask, mask})
		for n := minTail; n < len(word); n++ {
			w.heads[word[:n]] = true
		}
		w.length = max(w.length, len(word))
	}
	return w
}

func firstEight(word string) uint64 {
	var eight [8]byte
	copy(eight[:], word)
	return binary.LittleEndian.Uint64(eight[:]) | lowerCase
}

// eightAt is the eight bytes of text from at on. It is written so that the
// compiler checks no bounds in a loop that has checked them.
func eightAt(text []byte, at int) uint64 {
	return binary.LittleEndian.Uint64(text[at : at+8 : at+8])
}

// frequent are the characters that are frequent in text, the most frequent ones
// first; together are those that often follow one another.
const (
	frequent = " etaoinsrhldcumfpgwybvk"
	together = "ab ac ag al an ar as at be bl br ca ce ch ci co cr ct cu de di ea ec ed el em en er es et fi " +
		"ge go ha he hi ic il im in io is it la le li ll lo ma me mp nd ne ng no nt of om on or ou " +
		"pe po pr ra rc re ri ro sc se si ss st su ta te th ti to tr ty un ur us ve wh yp --"
)

// coreOf is where the three bytes of a word begin that are the rarest.
func coreOf(word string) int {
	best, least := 0, 1.0
	for at := range len(word) - minWord + 1 {
		share := 1.0
		for i := at; i < at+minWord; i++ {
			rank := strings.IndexByte(frequent, word[i])
			if rank < 0 {
				rank = 2 * len(frequent)
			}
			share /= float64(rank + 3)
			if i > at && strings.Contains(together, word[i-1:i+1]) {
				share *= 4
			}
		}
		if share < least {
			best, least = at, share
		}
	}
	return best
}

// coreMultiplier spreads three bytes over the upper bits. It is one with which
// hardly any that are frequent in English or in programs fall together with a
// core.
const coreMultiplier = 2236390785

// coreHash is the hash of the first three of eight bytes.
func coreHash(eight uint64) uint32 {
	return uint32(eight) * (coreMultiplier << 8 & 0xffffffff) >> (32 - coreBits)
}

// find calls found for every word, in order of their cores.
func (w *words) find(text []byte, found func(begin, number int)) {
	const places = 8 - minWord + 1 // in eight bytes
	at := 0
	for ; at+8 <= len(text); at += places {
		eight := eightAt(text, at) | lowerCase
		if w.maybe[coreHash(eight)]|w.maybe[coreHash(eight>>8)]|w.maybe[coreHash(eight>>16)]|
			w.maybe[coreHash(eight>>24)]|w.maybe[coreHash(eight>>32)]|w.maybe[coreHash(eight>>40)] == 0 {
			continue
		}
		for place := range places {
			if hash := coreHash(eight >> (8 * place)); w.maybe[hash] != 0 {
				w.compare(text, at+place, hash, found)
			}
		}
	}
	for ; at+minWord <= len(text); at++ {
		three := uint64(text[at]) | uint64(text[at+1])<<8 | uint64(text[at+2])<<16
		if hash := coreHash(three | lowerCase); w.maybe[hash] != 0 {
			w.compare(text, at, hash, found)
		}
	}
}

// compare calls found for the words whose core, of the given hash, stands in text
// at a place.
func (w *words) compare(text []byte, at int, hash uint32, found func(begin, number int)) {
	list := w.lists[w.slots[hash]]
	for i := range list {
		candidate := &list[i]
		begin := at - candidate.core
		if begin < 0 || begin+8 <= len(text) && (eightAt(text, begin)|lowerCase)&candidate.mask != candidate.head {
			continue
		}
		if equalFold(text[begin:], candidate.word) {
			found(begin, candidate.number)
		}
	}
}

// tail is where the longest beginning of a word begins that ends the text;
// len(text) if there is none.
func (w *words) tail(text []byte) int {
	end := lower(text[max(0, len(text)-w.length+1):])
	for n := len(end); n >= minTail; n-- {
		if w.heads[string(end[len(end)-n:])] {
			return len(text) - n
		}
	}
	return len(text)
}

// within tells whether a word, or at its end the beginning of one, is in text.
func (w *words) within(text []byte) bool {
	found := w.tail(text) < len(text)
	w.find(text, func(int, int) { found = true })
	return found
}

// equalFold tells whether text begins with word, which is in lower case.
func equalFold(text []byte, word string) bool {
	if len(text) < len(word) {
		return false
	}
	for i := range len(word) {
		c := text[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

func lower(text []byte) []byte {
	text = slices.Clone(text)
	for i, c := range text {
		if c >= 'A' && c <= 'Z' {
			text[i] = c + 'a' - 'A'
		}
	}
	return text
}
