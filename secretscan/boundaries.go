package secretscan

import "math/bits"

// minLine is the least length of a line that may continue on the next, longLine
// that of one which may do so after a blank.
const minLine, longLine = 8, 32

// eachByte times a byte is eight of them.
const eachByte = 0x0101010101010101

// strangers has the high bit of each of eight bytes that are below '+' or above
// 'z', and so in no alphabet. Most texts have one in so many bytes, a blank or
// a sign.
func strangers(eight uint64) uint64 {
	seven := eight &^ highBits
	// The high bit of each sum is that of a byte from '+' on, and from '{' on.
	return (^(seven + (0x80-'+')*eachByte) | (seven + (0x80-'{')*eachByte) | eight) & highBits
}

// strangerMask is strangers with one bit for each byte.
func strangerMask(eight uint64) uint64 {
	return (strangers(eight) >> 7) * 0x0102_0408_1020_4080 >> 56
}

// blockSize is how many bytes nextRun looks at together, with a bit for each.
const blockSize = 64

// nextRun is where the next run of characters may begin, from a place on:
// minRun of them side by side, or minLine at the end of a line that may go on
// in the next. It is len(text) if there is none.
func nextRun(text []byte, from int) int {
	// For a byte's bit: whether one, two, four or eight that are no strangers end
	// with it; and the same of the block before.
	var one, two, four, eight, one0, two0, four0, eight0 uint64
	var last [blockSize]byte
	for at := from; at < len(text); {
		b := text[at:]
		if len(b) < blockSize {
			clear(last[copy(last[:], b):])
			b = last[:]
		}
		b = b[:blockSize:blockSize]
		one = ^(strangerMask(eightAt(b, 0)) | strangerMask(eightAt(b, 8))<<8 |
			strangerMask(eightAt(b, 16))<<16 | strangerMask(eightAt(b, 24))<<24 |
			strangerMask(eightAt(b, 32))<<32 | strangerMask(eightAt(b, 40))<<40 |
			strangerMask(eightAt(b, 48))<<48 | strangerMask(eightAt(b, 56))<<56)
		two = one & (one<<1 | one0>>63)
		four = two & (two<<2 | two0>>62)
		eight = four & (four<<4 | four0>>60)
		sixteen := eight & (eight<<8 | eight0>>56)
		ends := (eight<<1 | eight0>>63) &^ one
		next := at + blockSize
		for events := sixteen | ends; events != 0; events &= events - 1 {
			bit := bits.TrailingZeros64(events)
			place := at + bit
			if ends>>bit&1 != 0 {
				if place < len(text) && text[place] > '\r' {
					continue // most stand in the middle of a line
				}
				if begin := lineBegin(text, from, place); begin < place {
					return begin
				}
				continue
			}
			begin := place - (minRun - 1)
			other := lastOther(text[begin:place+1], base64Value)
			if other < 0 {
				return begin
			}
			next, eight = begin+other+1, 0
			one, two, four = 0, 0, 0
			break
		}
		at, one0, two0, four0, eight0 = next, one, two, four, eight
	}
	return len(text)
}

// stretch is where the next minRun or more bytes side by side stand, from at on,
// that an alphabet has values for; both places are len(text) if there are none.
func stretch(text []byte, at int, values *[256]byte) (begin, end int) {
	for at+minRun <= len(text) {
		if other := lastOther(text[at:at+minRun], values); other >= 0 {
			at += other + 1
			continue
		}
		for end = at + minRun; end < len(text) && values[text[end]] != 0xff; {
			end++
		}
		return at, end
	}
	return len(text), len(text)
}

// lastOther is where the last byte of text stands that an alphabet has no value
// for; -1 if there is none.
func lastOther(text []byte, values *[256]byte) int {
	at := len(text) - 1
	for at >= 0 && values[text[at]] != 0xff {
		at--
	}
	return at
}

// lineBegin is where the characters begin that end at end, if they are at least
// minLine, not before from, and go on after a line break that stands there; else
// it is end.
func lineBegin(text []byte, from, end int) int {
	line := end
	if line < len(text) && text[line] == '\r' {
		line++
	}
	if line+1 >= len(text) || text[line] != '\n' || base64Value[text[line+1]] == 0xff {
		return end
	}
	begin := from + 1 + lastOther(text[from:end], base64Value)
	if end-begin < minLine {
		return end
	}
	return begin
}

// runEnd is the end of the run that begins at begin, over the line breaks that
// encoders put into long ones: all lines but the last have the same length. lines
// tells whether there are such. next is where further runs may begin: at a line
// of another length than those before, if it may go on itself. They may have been
// something else.
func runEnd(text []byte, begin int) (end, next int, lines bool) {
	width := 0
	for line, i := begin, begin; ; i++ {
		if i < len(text) && base64Value[text[i]] != 0xff {
			continue
		}
		after := i
		if i-line >= minLine {
			after += lineBreak(text[i:], text[line:i])
		}
		switch {
		case after == i || after == len(text):
			return i, i, lines
		case width != 0 && i-line != width:
			return i, line, lines
		}
		least := minTail
		if width == i-line || i-line >= longLine {
			least = 1
		}
		width = i - line
		if wordLength(text[after:min(len(text), after+least)]) < least {
			return i, i, lines
		}
		i, line, lines = after-1, after, true
	}
}

// wordLength is how many characters of base64 text begins with.
func wordLength(text []byte) int {
	for n, c := range text {
		if base64Value[c] == 0xff {
			return n
		}
	}
	return len(text)
}
