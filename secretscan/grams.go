package secretscan

import (
	"encoding/binary"
	"math/bits"
)

const (
	// gram is the length of the windows a text is searched for, and the
	// shortest pattern.
	gram = 8
	// minTail is the shortest beginning of a pattern for which a text's end is
	// held: shorter ones stand everywhere, and would stall what is interactive.
	minTail = 4
	// block is the length of the pieces of a window that are looked up.
	block = 4
)

// pattern is something an index searches for.
type pattern struct {
	text string
	// value numbers the known secret this stands for.
	value int
	// offset is where text begins in the secret, for a fragment of it; -1 for
	// a form of the whole.
	offset int
	// exact is text as it must stand, if it does not say so itself.
	exact string
	// stream is what text is a window of, from offset on; nil for the value.
	stream *stream
}

// stride is how far apart the blocks are that are looked at: every window holds
// exactly one of them.
const stride = gram - block + 1

// index finds many patterns at once: it looks up one block of four bytes in
// five, and only where a pattern has that block looks at windows. The nil index
// finds nothing.
type index struct {
	blocks   []uint8 // by hash of a block: a bit for each offset it has in a window
	windows  []bool  // by hash of a window: whether a pattern may begin with it
	drop     int     // bits of the hash to drop
	patterns map[uint64][]pattern
	prefixes map[string]struct{} // shorter than gram
}

// newIndex takes patterns of at least eight bytes.
func newIndex(patterns []pattern) *index {
	if len(patterns) == 0 {
		return nil
	}
	width := max(14, min(20, bits.Len(uint(len(patterns)*256))))
	x := &index{
		blocks:   make([]uint8, 1<<width),
		windows:  make([]bool, 1<<width),
		drop:     32 - width,
		patterns: make(map[uint64][]pattern, len(patterns)),
		prefixes: make(map[string]struct{}),
	}
	for _, p := range patterns {
		window := []byte(p.text[:gram])
		for offset := range stride {
			x.blocks[blockHash(window, offset, x.drop)] |= 1 << offset
		}
		first := binary.LittleEndian.Uint64(window)
		x.windows[windowHash(first, x.drop)] = true
		x.patterns[first] = append(x.patterns[first], p)
		if p.offset < 0 {
			for n := minTail; n < gram; n++ {
				x.prefixes[p.text[:n]] = struct{}{}
			}
		}
	}
	return x
}

// multiplier spreads what is hashed over the upper bits.
const multiplier = 0x9e3779b97f4a7c15

func blockHash(text []byte, at, drop int) uint32 {
	return binary.LittleEndian.Uint32(text[at:at+block:at+block]) * (multiplier >> 32) >> drop
}

func windowHash(window uint64, drop int) uint32 {
	return uint32(window*multiplier>>32) >> drop
}

// find calls found for every window of text in which one or more patterns
// begin, in order; it compares no more than the window. It stops when found
// returns false.
func (x *index) find(text []byte, found func(at int, candidates []pattern) bool) {
	if x == nil {
		return
	}
	blocks, drop, at := x.blocks, x.drop, 0
	for ; at+3*stride+block <= len(text); at += 4 * stride {
		if blocks[blockHash(text, at, drop)]|blocks[blockHash(text, at+stride, drop)]|
			blocks[blockHash(text, at+2*stride, drop)]|blocks[blockHash(text, at+3*stride, drop)] == 0 {
			continue
		}
		for i := range 4 {
			if !x.look(text, at+i*stride, found) {
				return
			}
		}
	}
	for ; at+block <= len(text) && x.look(text, at, found); at += stride {
	}
}

// look calls found for the windows that hold the block at a place, and returns
// false when found does.
func (x *index) look(text []byte, place int, found func(at int, candidates []pattern) bool) bool {
	offsets := x.blocks[blockHash(text, place, x.drop)]
	for offset := stride - 1; offsets != 0 && offset >= 0; offset-- {
		at := place - offset
		if offsets>>offset&1 == 0 || at < 0 || at+gram > len(text) {
			continue
		}
		window := eightAt(text, at)
		if !x.windows[windowHash(window, x.drop)] {
			continue
		}
		if candidates := x.patterns[window]; candidates != nil && !found(at, candidates) {
			return false
		}
	}
	return true
}

// tail is where the longest end of text begins that is shorter than a window
// and with which a pattern begins; len(text) if there is none.
func (x *index) tail(text []byte) int {
	if x == nil {
		return len(text)
	}
	for n := min(gram-1, len(text)); n >= minTail; n-- {
		if _, ok := x.prefixes[string(text[len(text)-n:])]; ok {
			return len(text) - n
		}
	}
	return len(text)
}
