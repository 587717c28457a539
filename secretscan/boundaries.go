package secretscan

import (
	"bytes"
	"math/bits"
)

// minLine is the least length of a line that may continue on the next.
const minLine = 8

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

// longRun is where the next minRun characters of base64 side by side begin, from
// at on; len(text) if there are none. It looks at 64 bytes at once, with a bit
// for each that is no stranger, and then one for each with which two, four,
// eight and sixteen of them end.
func longRun(text []byte, at int) int {
	var before1, before2, before4, before8 uint64 // of the 64 bytes before
	for at+64 <= len(text) {
		t := text[at : at+64 : at+64]
		one := ^(strangerMask(eightAt(t, 0)) | strangerMask(eightAt(t, 8))<<8 |
			strangerMask(eightAt(t, 16))<<16 | strangerMask(eightAt(t, 24))<<24 |
			strangerMask(eightAt(t, 32))<<32 | strangerMask(eightAt(t, 40))<<40 |
			strangerMask(eightAt(t, 48))<<48 | strangerMask(eightAt(t, 56))<<56)
		two := one & (one<<1 | before1>>63)
		four := two & (two<<2 | before2>>62)
		eight := four & (four<<4 | before4>>60)
		if sixteen := eight & (eight<<8 | before8>>56); sixteen != 0 {
			begin := at + bits.TrailingZeros64(sixteen) - (minRun - 1)
			other := lastOther(text[begin : begin+minRun])
			if other < 0 {
				return begin
			}
			at, before1, before2, before4, before8 = begin+other+1, 0, 0, 0, 0
			continue
		}
		at, before1, before2, before4, before8 = at+64, one, two, four, eight
	}
	at -= bits.LeadingZeros64(^before1)
	for at+minRun <= len(text) {
		other := lastOther(text[at : at+minRun])
		if other < 0 {
			return at
		}
		at += other + 1
	}
	return len(text)
}

// lastOther is where the last byte of text stands that is no character of
// base64; -1 if there is none.
func lastOther(text []byte) int {
	at := len(text) - 1
	for at >= 0 && base64Value[text[at]] != 0xff {
		at--
	}
	return at
}

// shortLines is where the next line of minLine characters or more ends in such,
// from at on, that may go on in the line after it; len(text) if there is none.
// It returns where these characters begin.
func shortLines(text []byte, at int) int {
	for line := at; ; {
		end := bytes.IndexByte(text[line:], '\n')
		if end < 0 || line+end+1 == len(text) {
			return len(text)
		}
		end += line
		line = end + 1
		if base64Value[text[line]] == 0xff {
			continue
		}
		if end > at && text[end-1] == '\r' {
			end--
		}
		if end-at < minLine || lastOther(text[end-minLine:end]) >= 0 {
			continue
		}
		return at + 1 + lastOther(text[at:end])
	}
}

// runEnd is the end of the run that begins at begin, over the line breaks that
// encoders put into long ones: all lines but the last have the same length. next
// is where further runs may begin: at the second line, if that is not as long as
// the first, which may have been something else, and may go on in a third.
func runEnd(text []byte, begin int) (end, next int) {
	width, second := 0, -1
	for line, i := begin, begin; ; i++ {
		if i < len(text) && base64Value[text[i]] != 0xff {
			continue
		}
		after := i
		if after < len(text) && text[after] == '\r' {
			after++
		}
		switch {
		case i-line < minLine || after >= len(text) || text[after] != '\n':
			return i, i
		case line == second && i-line != width:
			return i, second
		case width != 0 && i-line != width:
			return i, i
		}
		least := minTail
		if width == i-line || i-line >= 4*minLine {
			least = 1
		}
		if width == 0 {
			second = after + 1
		}
		width = i - line
		if wordLength(text[after+1:min(len(text), after+1+least)]) < least {
			return i, i
		}
		i, line = after, after+1
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
