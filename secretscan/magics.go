package secretscan

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// maxNeed is the most bytes that any opener needs.
const maxNeed = rawSample

// need is how many bytes must be there to tell whether a container begins.
func (o *opener) need() int {
	switch {
	case o.sampled:
		return rawSample
	case o.begins != nil:
		return zlibHeader
	}
	return len(o.magic)
}

// fits tells whether a container of the kind may begin text. Where more must
// come to tell, it may not yet, unless text is final.
func (o *opener) fits(text []byte, final bool) bool {
	sample := text[:min(len(text), o.need())]
	return bytes.HasPrefix(sample, []byte(o.magic)) && (len(sample) == o.need() || final) &&
		(o.begins == nil || o.begins(sample)) && !(o.sampled && printable(sample))
}

// starts calls found for every place at which a container may begin in text,
// which stands at an offset in its stream, until that returns false.
func starts(text []byte, offset int64, final bool, found func(at int, o *opener) bool) {
	for at := 0; at <= len(text); {
		if at > 0 || offset == 0 {
			for i := range openers {
				if o := &openers[i]; o.first && o.fits(text[at:], final) && !found(at, o) {
					return
				}
			}
		}
		next := bytes.Index(text[at:], []byte(emptyLine))
		if next < 0 {
			break
		}
		at += next + len(emptyLine)
	}
	marks(text, final, found)
}

// marks is starts for the containers that have a magic.
func marks(text []byte, final bool, found func(at int, o *opener) bool) {
	if len(text) < shortBody {
		for at, c := range text {
			for kinds := magicsWith[c]; kinds != 0; kinds &= kinds - 1 {
				if o := &openers[bits.TrailingZeros32(kinds)]; o.fits(text[at:], final) && !found(at, o) {
					return
				}
			}
		}
		return
	}
	sought, present := byte(0), true // the last rare byte, and whether text has it
	for i := range openers {
		o := &openers[i]
		if o.first {
			continue
		}
		if rare := o.magic[o.rare]; rare != sought {
			sought, present = rare, bytes.IndexByte(text, rare) >= 0
		}
		if !present {
			continue
		}
		for at := 0; ; at++ {
			next := search(text[at:], o.magic, o.rare)
			if next < 0 {
				break
			}
			if at += next; o.fits(text[at:], final) && !found(at, o) {
				return
			}
		}
	}
}

// search is where mark first stands in text, or -1. It looks for the byte of it
// at a place, which should be rare, as long as that is so.
func search(text []byte, mark string, place int) int {
	for at, tries := place, 0; at < len(text); tries++ {
		i := bytes.IndexByte(text[at:], mark[place])
		if i < 0 {
			return -1
		}
		begin := at + i - place
		if bytes.HasPrefix(text[begin:], []byte(mark)) {
			return begin
		}
		if at += i + 1; tries > 8+at/16 {
			begin = at - place
			if i = bytes.Index(text[begin:], []byte(mark)); i >= 0 {
				i += begin
			}
			return i
		}
	}
	return -1
}

// smallZlib tells of a zlib header that says how small its window is.
func smallZlib(text []byte) bool {
	const deflate, maxWindow, dictionary = 8, 7, 0x20
	return len(text) >= zlibHeader && text[0]&0x0f == deflate && text[0]>>4 < maxWindow &&
		binary.BigEndian.Uint16(text)%31 == 0 && text[1]&dictionary == 0
}

// printable tells whether all bytes are those of ASCII text. Deflate makes of
// short text little else.
func printable(body []byte) bool {
	for _, c := range body {
		if (c < ' ' || c > '~') && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}

// holdsContainer tells whether a container with a magic may begin in body.
func holdsContainer(body []byte) bool {
	holds := smallZlib(body)
	if !holds {
		marks(body, true, func(int, *opener) bool { holds = true; return false })
	}
	return holds
}

// bare tells at once of a short text that no container begins in it.
func bare(text []byte, offset int64) bool {
	return len(text) < shortBody && (offset > 0 || printable(text[:min(len(text), rawSample)])) &&
		bytes.IndexByte(text, '\r') < 0 && !holdsContainer(text)
}

// shortBody is the length up to which one look at every byte is faster than a
// search for every magic.
const shortBody = 128

// magicsWith has, by their first byte, a bit for each opener with a magic.
var magicsWith = func() (table [256]uint32) {
	for i, o := range openers {
		if !o.first {
			table[o.magic[0]] |= 1 << i
		}
	}
	return table
}()
