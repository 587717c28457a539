package secretscan

import (
	"encoding/base32"
	"encoding/base64"
	"strings"
)

const (
	// decodedPiece is the length from which on a piece is decoded, whatever it
	// is encoded in.
	decodedPiece = 12
	// minPiece is how many bytes are told of a piece of eight: the bits at its
	// ends share a character with others.
	minPiece = gram - 2
)

// stream is a value as an encoder writes it behind so many other bytes, to be
// found in part.
type stream struct {
	characters    string
	digits, bytes int  // so many characters stand for so many bytes
	before        int  // bytes that stand before the value
	lines         bool // other characters may stand between those of two lines
}

// patterns are windows of the stream, so that every piece of so many characters
// holds one.
func (s *stream) patterns(value, piece int) []pattern {
	var windows []pattern
	for at := 0; at+gram <= len(s.characters); at += piece - gram + 1 {
		windows = append(windows, pattern{text: s.characters[at : at+gram], value: value, offset: at, stream: s})
	}
	return windows
}

// around extends the window of the stream that stands at a place in text over
// all that stands there: from where to where in text, and in the value.
func (s *stream) around(text []byte, at, offset int) (from, to, begin, end int) {
	from, to = at, at
	last := offset
	for gap := 0; gap >= 0; gap = s.gap(len(text)-to, len(s.characters)-last, func(gap int) int {
		return common(text[to+gap:], s.characters[last:])
	}) {
		n := common(text[to+gap:], s.characters[last:])
		to, last = to+gap+n, last+n
	}
	for gap := 0; gap >= 0; gap = s.gap(from, offset, func(gap int) int {
		return commonEnd(text[:from-gap], s.characters[:offset])
	}) {
		n := commonEnd(text[:from-gap], s.characters[:offset])
		from, offset = from-gap-n, offset-n
	}
	begin = (offset*s.bytes+s.digits-1)/s.digits - s.before
	end = last*s.bytes/s.digits - s.before
	return from, to, begin, end
}

// gap is how much stands before the stream goes on in another line, a number and
// perhaps sixteen characters; -1 if it does not. There is so much more text and
// so much more of the stream, and same tells how much of it stands after a gap.
func (s *stream) gap(text, rest int, same func(gap int) int) int {
	const number, most = 7, 8 + 16
	if !s.lines || rest == 0 {
		return -1
	}
	for gap := number; gap <= min(most, text); gap++ {
		if same(gap) >= min(gram, rest) {
			return gap
		}
	}
	return -1
}

// pieceStreams are the encodings in which a piece of eight bytes is too short to
// be decoded. Of values for which two such pieces are not enough there are none.
func pieceStreams(value string, number int) []pattern {
	if len(value) < 2*gram || len(value) >= 2*decodedPiece {
		return nil
	}
	const piece64, piece32 = 10, 12 // characters that eight bytes give whole
	var windows []pattern
	add := func(piece int, s stream) { windows = append(windows, s.patterns(number, piece)...) }
	for before := range 3 {
		padded := []byte(strings.Repeat("\x00", before) + value)
		standard := base64.RawStdEncoding.EncodeToString(padded)
		add(piece64, stream{standard, 4, 3, before, false})
		if inURL := base64.RawURLEncoding.EncodeToString(padded); inURL != standard {
			add(piece64, stream{inURL, 4, 3, before, false})
		}
	}
	for before := range 5 {
		encoded := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(strings.Repeat("\x00", before) + value))
		add(piece32, stream{encoded, 8, 5, before, false})
		add(piece32, stream{strings.ToLower(encoded), 8, 5, before, false})
	}
	return windows
}
