package secretscan

import (
	"io"
	"slices"
)

// unended is a container in an encoding of which not all is there yet: it is
// unpacked from the stream itself as that goes on.
type unended struct {
	at      int // where in the text its encoding begins
	skip    int // what is decoded before it
	decoded func(io.ByteReader) byteSource
	opener  *opener
}

// unended is a container at a place in what the characters of a run give from
// one on.
func (r *run) unended(c coding, from, at int) unended {
	whole := 1 // bytes that whole characters give
	for whole*8%c.bits != 0 {
		whole++
	}
	return unended{
		at:      r.source(from + at/whole*whole*8/c.bits),
		skip:    at % whole,
		decoded: func(source io.ByteReader) byteSource { return &codingReader{source: source, coding: c} },
	}
}

// source is where in the text a character of the run stands.
func (r *run) source(character int) int {
	if !r.whole {
		return r.begin + character
	}
	at, line := 0, 0
	for left := r.before + character; ; left -= line {
		line = wordLength(r.text[at:])
		if left < line || at+line == len(r.text) {
			return r.begin + at + min(left, line)
		}
		at += line + lineBreak(r.text[at+line:], r.text[at:at+line])
	}
}

// place identifies what is unpacked in a stream.
type place struct {
	begin int64
	skip  int
}

// follow unpacks e from the stream, of which text from e.at on is there and stands
// at begin, and returns what push does. What began before least has
// passed and is forgotten.
func (us *unpackers) follow(s *Scanner, where string, e unended, text []byte, begin, least int64, depth int) (found *Finding, hold int64) {
	end := begin + int64(len(text))
	here := place{begin, e.skip}
	same := func(u *unpacker) bool { return u.begin == begin && e.skip == 0 }
	if slices.Contains(us.followed, here) || slices.ContainsFunc(us.list, same) {
		return nil, end
	}
	us.followed = slices.DeleteFunc(us.followed, func(p place) bool { return p.begin < least })
	us.followed = append(us.followed, here)
	decoding := &opener{heavy: e.opener.heavy, encoded: true, open: func(r byteSource) (io.Reader, error) {
		decoded := e.decoded(r)
		if _, err := io.CopyN(io.Discard, decoded, int64(e.skip)); err != nil {
			return nil, err
		}
		return e.opener.open(decoded)
	}}
	return us.begin(s, where, decoding, text, begin, false, depth)
}

// most is how much of a stream may be held back.
func (us *unpackers) most() int {
	if slices.ContainsFunc(us.list, func(u *unpacker) bool { return u.opener.encoded }) {
		return maxEncoded
	}
	return maxHeld
}
