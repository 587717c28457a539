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
	// block is the length of the pieces of a window that decide how far the
	// search may jump.
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
}

// index finds many patterns at once: it looks at the last block of a window
// of eight bytes and jumps as far as no pattern can begin (Wu and Manber's
// algorithm). The nil index finds nothing.
type index struct {
	jump     []uint8 // by hash of a block
	drop     int     // bits of the hash to drop
	patterns map[uint64][]pattern
	prefixes map[string]struct{} // shorter than gram
}

// newIndex takes patterns of at least eight bytes.
func newIndex(patterns []pattern) *index {
	if len(patterns) == 0 {
		return nil
	}
	width := max(14, min(20, bits.Len(uint(len(patterns)*64))))
	x := &index{
		jump:     make([]uint8, 1<<width),
		drop:     32 - width,
		patterns: make(map[uint64][]pattern, len(patterns)),
		prefixes: make(map[string]struct{}),
	}
	for i := range x.jump {
		x.jump[i] = gram - block + 1
	}
	for _, p := range patterns {
		for i := range gram - block + 1 {
			at := &x.jump[x.hash(p.text[i:])]
			*at = min(*at, uint8(gram-block-i))
		}
		first := binary.LittleEndian.Uint64([]byte(p.text[:gram]))
		x.patterns[first] = append(x.patterns[first], p)
		if p.offset < 0 {
			for n := minTail; n < gram; n++ {
				x.prefixes[p.text[:n]] = struct{}{}
			}
		}
	}
	return x
}

func (x *index) hash(text string) uint32 {
	_ = text[3]
	return (uint32(text[0]) | uint32(text[1])<<8 | uint32(text[2])<<16 | uint32(text[3])<<24) * 2654435761 >> x.drop
}

// find calls found for every window of text in which one or more patterns
// begin; it compares no more than the window. It stops when found returns
// false.
func (x *index) find(text []byte, found func(at int, candidates []pattern) bool) {
	if x == nil {
		return
	}
	jump, drop := x.jump, x.drop
	for i := 0; i+gram <= len(text); {
		h := binary.LittleEndian.Uint32(text[i+gram-block:]) * 2654435761 >> drop
		if s := jump[h]; s > 0 {
			i += int(s)
			continue
		}
		if candidates := x.patterns[binary.LittleEndian.Uint64(text[i:])]; candidates != nil && !found(i, candidates) {
			return
		}
		i++
	}
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
