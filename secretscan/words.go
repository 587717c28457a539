package secretscan

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

const (
	// minWord is the length of the shortest word, and of the beginnings that
	// are looked up.
	minWord = 3
	// wordBits is the width of the hash of a word's beginning, filterBits that
	// of the first look at it, whose table must fit the fastest cache.
	wordBits, filterBits = 14, 15
	// fourBits is the width of the hash of four bytes.
	fourBits = 17
	// lowerCase makes letters of four bytes lower case; other characters may
	// collide, which costs a comparison.
	lowerCase = 0x20202020
	// threeBytes masks a word's beginning.
	threeBytes = 0xffffff
)

// words finds where words begin in a text, letters in either case.
type words struct {
	filter [1 << filterBits]uint8 // by shorter hash: whether a word may begin so
	begins [1 << wordBits]uint16  // by hash: the list of words that may begin so, 0 for none
	lists  [][]wordNumber
	fourth [1 << fourBits / 64]uint64 // by hash of four bytes: whether they may begin a word
	heads  map[string]bool            // beginnings of words, for the end of a text
	length int                        // of the longest word
}

type wordNumber struct {
	word   string
	number int
}

// newWords numbers the words by their place in the list; all are lower case
// and have three bytes or more.
func newWords(list []string) *words {
	w := &words{lists: make([][]wordNumber, 1), heads: make(map[string]bool)}
	for number, word := range list {
		three := (uint32(word[0]) | uint32(word[1])<<8 | uint32(word[2])<<16) | lowerCase&threeBytes
		w.filter[filterHash(uint64(three))] = 1
		slot := &w.begins[wordHash(three)]
		if *slot == 0 {
			*slot = uint16(len(w.lists))
			w.lists = append(w.lists, nil)
		}
		w.lists[*slot] = append(w.lists[*slot], wordNumber{word, number})
		for c := range 256 {
			if len(word) == minWord || byte(c) == word[minWord] {
				at := fourHash(three | (uint32(c)<<24 | lowerCase&^threeBytes))
				w.fourth[at/64] |= 1 << (at % 64)
			}
		}
		for n := minTail; n < len(word); n++ {
			w.heads[word[:n]] = true
		}
		w.length = max(w.length, len(word))
	}
	return w
}

// multiplier spreads what is hashed over the upper bits.
const multiplier = 2654435761

func fourHash(bytes uint32) uint32 { return bytes * multiplier >> (32 - fourBits) }

// maybe tells whether four bytes may begin a word; of a word of three, with any
// byte after it.
func (w *words) maybe(four uint32) bool {
	at := fourHash(four)
	return w.fourth[at/64]>>(at%64)&1 != 0
}

func wordHash(bytes uint32) uint32 { return bytes * multiplier >> (32 - wordBits) }

// filterHash is the hash of the first three bytes for the filter.
func filterHash(eight uint64) uint32 {
	return (uint32(eight) << 8) * multiplier >> (32 - filterBits)
}

// find calls found for every word, in order.
func (w *words) find(text []byte, found func(begin, number int)) {
	i := 0
	for ; i+8 <= len(text); i += 5 {
		eight := binary.LittleEndian.Uint64(text[i:]) | lowerCase | lowerCase<<32
		places := w.filter[filterHash(eight)] | w.filter[filterHash(eight>>8)]<<1 | w.filter[filterHash(eight>>16)]<<2 |
			w.filter[filterHash(eight>>24)]<<3 | w.filter[filterHash(eight>>32)]<<4
		for ; places != 0; places &= places - 1 {
			at := bits.TrailingZeros8(places)
			four := uint32(eight >> (8 * at))
			if w.maybe(four) {
				w.check(text, i+at, w.begins[wordHash(four&threeBytes)], found)
			}
		}
	}
	for ; i+minWord <= len(text); i++ {
		three := (uint32(text[i]) | uint32(text[i+1])<<8 | uint32(text[i+2])<<16) | lowerCase&threeBytes
		w.check(text, i, w.begins[wordHash(three)], found)
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

func (w *words) check(text []byte, at int, slot uint16, found func(begin, number int)) {
	for _, candidate := range w.lists[slot] {
		if equalFold(text[at:], candidate.word) {
			found(at, candidate.number)
		}
	}
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
