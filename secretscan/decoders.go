package secretscan

import (
	"bytes"
	"io"
)

// What is encoded and so long that it is not held until it ends is decoded as it
// comes, by readers that give what the whole would.

// codingReader decodes the characters of a coding up to the first that is none,
// over line breaks, escaped ones too, and what begins lines.
type codingReader struct {
	source io.ByteReader
	coding
	acc   uint32
	have  int
	ended bool

	escaped, fresh bool // what came last: a backslash, a line break
}

// ReadByte implements io.ByteReader.
func (r *codingReader) ReadByte() (byte, error) {
	for !r.ended {
		c, err := r.source.ReadByte()
		if err != nil {
			return 0, err
		}
		if r.between(c) {
			continue
		}
		v := r.values[c]
		if v == 0xff {
			r.ended = true
			continue
		}
		r.acc = r.acc<<r.bits | uint32(v)
		if r.have += r.bits; r.have >= 8 {
			r.have -= 8
			return byte(r.acc >> r.have), nil
		}
	}
	return 0, io.EOF
}

// between tells whether c is part of what stands between two lines.
func (r *codingReader) between(c byte) bool {
	switch {
	case c == '\\':
		r.escaped = true
	case c == '\n' || c == '\r' || r.escaped && (c == 'n' || c == 'r'):
		r.escaped, r.fresh = false, true
	case r.fresh && bytes.IndexByte([]byte(lineStart), c) >= 0:
	default:
		r.ended = r.ended || r.escaped
		r.escaped, r.fresh = false, false
		return r.ended
	}
	return true
}

// Read implements io.Reader.
func (r *codingReader) Read(p []byte) (int, error) { return readBytes(r, p) }

// numberReader gives the numbers of a list.
type numberReader struct {
	source io.ByteReader
	read   func([]byte) (int, bool)
	ended  bool
}

// ReadByte implements io.ByteReader.
func (r *numberReader) ReadByte() (byte, error) {
	var token [maxNumber + 1]byte
	for n, signs, blank := 0, 0, false; !r.ended; {
		c, err := r.source.ReadByte()
		if err != nil && n == 0 {
			return 0, err
		}
		switch {
		case err == nil && fold[c] != 0 && n < len(token):
			token[n] = c
			n++
		case n > 0:
			value, ok := r.read(token[:n])
			r.ended = !ok || err != nil
			if ok {
				return byte(value), nil
			}
		default:
			isBlank := blanks([]byte{c}) > 0
			if !isBlank || !blank {
				signs++
			}
			blank, r.ended = isBlank, signs > maxSigns || c >= 0x80
		}
	}
	return 0, io.EOF
}

// Read implements io.Reader.
func (r *numberReader) Read(p []byte) (int, error) { return readBytes(r, p) }

// escapeReader resolves backslash escapes or those of HTML. Characters up to
// U+00FF stand for bytes, or with bytes for themselves.
type escapeReader struct {
	source io.ByteReader
	mark   byte
	bytes  bool
	ahead  []byte // at most maxEscape bytes
	given  []byte // what was resolved and not read yet
	err    error
}

// ReadByte implements io.ByteReader.
func (r *escapeReader) ReadByte() (byte, error) {
	if len(r.given) == 0 {
		for r.err == nil && len(r.ahead) < maxEscape {
			var c byte
			if c, r.err = r.source.ReadByte(); r.err == nil {
				r.ahead = append(r.ahead, c)
			}
		}
		if len(r.ahead) == 0 {
			return 0, r.err
		}
		r.resolve()
	}
	c := r.given[0]
	r.given = r.given[1:]
	return c, nil
}

// resolve takes an escape or a character of what is ahead.
func (r *escapeReader) resolve() {
	n := 0
	if r.ahead[0] == r.mark {
		n, r.given = appendEscape(r.given[:0], r.ahead)
	}
	if n == 0 {
		n = 1
		if isLatin(r.ahead) {
			n = 2
		}
		r.given = append(r.given[:0], r.ahead[:n]...)
	}
	if !r.bytes {
		r.given = latinBytes(r.given)
	}
	r.ahead = r.ahead[:copy(r.ahead, r.ahead[n:])]
}

// Read implements io.Reader.
func (r *escapeReader) Read(p []byte) (int, error) { return readBytes(r, p) }
