package secretscan

import (
	"bytes"
	"math/bits"
)

const (
	// minText is the length of the shortest text that is looked for in what
	// characters decode to.
	minText = 10
	// Each byte of text counts one, any other costs so many, and no more than
	// maxScore are counted: a text may hold letters of other scripts, and ends
	// where something else begins.
	otherCost, maxScore = 7, 64
)

// texts calls found for every part of body that is text, or is at least as
// long as a secret and mostly ASCII: all secrets are.
func texts(body []byte, found func(begin, end int)) {
	for at := 0; ; {
		begin := textBegin(body, at)
		if begin < 0 {
			return
		}
		at = textEnd(body, begin+minText)
		found(max(0, begin-minText), at)
	}
}

// textBegin is where the next minText bytes of ASCII begin, from at on; -1 if
// there are none. Every place of so many holds one of the windows that it looks
// at.
func textBegin(body []byte, at int) int {
	const window = 8
	for i := at; i+window <= len(body); i += minText - window + 1 {
		if eightAt(body, i)&highBits != 0 {
			continue
		}
		begin, end := i, i+window
		for begin > at && body[begin-1] < 0x80 {
			begin--
		}
		for end < len(body) && end-begin < minText && body[end] < 0x80 {
			end++
		}
		if end-begin >= minText {
			return begin
		}
	}
	return -1
}

// textEnd is where the text ends that stands before at.
func textEnd(body []byte, at int) int {
	for score := minText; at < len(body); at++ {
		if score == maxScore && at+8 <= len(body) && eightAt(body, at)&highBits == 0 {
			at += 7
			continue
		}
		if body[at] < 0x80 {
			score = min(score+1, maxScore)
		} else if score -= otherCost; score < 0 {
			break
		}
	}
	return at
}

const highBits = 0x8080808080808080

// A character of base64 gives bytes below 0x80 or not by its place in the
// group of four. Four lanes of 16 bits follow the four alignments a group may
// have in a run, each counting the characters that gave ASCII lately.
const (
	laneOnes  = 0x0001_0001_0001_0001
	laneFull  = 0xffff
	laneBits  = 16
	laneReady = 0xfff0_fff0_fff0_fff0 // 16 or more
)

// lanes has, by a character's place in the run modulo four and its value, the
// lanes that go on with it.
var lanes = func() (table [4][256]uint64) {
	for c := range 256 {
		v := base64Value[c]
		if v == 0xff {
			continue
		}
		for at := range 4 {
			for lane := range 4 {
				ascii := true
				switch (at - lane + 4) % 4 {
				case 0:
					ascii = v < 32
				case 1:
					ascii = v&8 == 0
				case 2:
					ascii = v&2 == 0
				}
				if ascii {
					table[at][c] |= laneFull << (laneBits * lane)
				}
			}
		}
	}
	return table
}()

// texts64 calls found for every part of a run of base64 characters that decodes
// to text: where it begins in the run, and the text, which is kept in buf, with
// lead, of the length head, before it when it begins the run.
func texts64(run, lead []byte, buf *[]byte, found func(begin int, text []byte, head int)) {
	var until [4]int // by lane: the end of what was decoded
	counts := uint64(0)
	for i, c := range run {
		counts = (counts + laneOnes) & lanes[i&3][c]
		if counts&laneReady == 0 {
			continue
		}
		for lane := range 4 {
			shift := laneBits * lane
			if counts>>shift&(laneReady&laneFull) == 0 {
				continue
			}
			counts &^= laneFull << shift
			if i < until[lane] {
				continue
			}
			// Whole groups, and some before, in which a letter of another
			// script may have ended an earlier text.
			begin := max(until[lane], i-2*minRun)
			begin += (lane - begin%4 + 4) % 4
			out := (*buf)[:0]
			if begin == lane {
				out = append(out, lead...)
			}
			head := len(out)
			out, until[lane] = decodeText(out, run, begin, i)
			*buf = out
			found(begin, out, head)
		}
	}
}

// decodeText appends to out what the groups of run from begin on give, as long
// as that is text after the character at sure, and returns where they end.
func decodeText(out, run []byte, begin, sure int) (_ []byte, end int) {
	score := minText
	at := begin
	for ; at+4 <= len(run); at += 4 {
		v := uint32(base64Value[run[at]])<<18 | uint32(base64Value[run[at+1]])<<12 |
			uint32(base64Value[run[at+2]])<<6 | uint32(base64Value[run[at+3]])
		out = append(out, byte(v>>16), byte(v>>8), byte(v))
		if at < sure {
			continue
		}
		others := bits.OnesCount32(v & 0x808080)
		if score = min(score+3-others*(otherCost+1), maxScore); score < 0 {
			return out, at + 4
		}
	}
	return base64Coding.decode(out, run[at:]), len(run)
}

// maxIndent is how many signs may indent or quote a line that goes on.
const maxIndent = 16

// lineStart are those signs.
const lineStart = " \t>#*|"

// lineBreak is the length of the line break that text begins with, as it stands
// or escaped, with the signs that indent or quote the next line; 0 if there is
// none. A blank is one after a long line, as a shell joins them, but for a hash.
func lineBreak(text, line []byte) int {
	n := 0
	if len(text) > 0 && text[0] == ' ' && len(line) >= longLine && !allHex(line[:longLine]) {
		n++
	}
	for n < len(text) && (text[n] == '\r' || text[n] == '\n') {
		n++
	}
	for n == 0 || n < len(text) && text[n] == '\\' {
		letter := n
		for letter < len(text) && text[letter] == '\\' {
			letter++ // what was escaped more than once
		}
		if letter == n || letter == len(text) || text[letter] != 'n' && text[letter] != 'r' {
			break
		}
		n = letter + 1
	}
	if n == 0 {
		return 0
	}
	for end := min(len(text), n+maxIndent); n < end && bytes.IndexByte([]byte(lineStart), text[n]) >= 0; {
		n++
	}
	return n
}

const (
	// maxJoined is about how much of a run's lines is decoded without the last
	// one.
	maxJoined = 512
	// group is how many characters give whole bytes in every encoding.
	group = 8
)

// joinLines appends the characters of a run of lines to out and tells where in
// it the last line begins.
func joinLines(out, run []byte) (_ []byte, last int) {
	for len(run) > 0 {
		n := wordLength(run)
		line := run[:n]
		last, out = len(out), append(out, line...)
		run = run[n:]
		run = run[min(len(run), max(1, lineBreak(run, line))):]
	}
	return out, last
}

func ascii(text []byte) bool {
	for _, c := range text {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// ascii32 tells whether the first eight characters of base32 give ASCII.
func ascii32(run []byte) bool {
	v := base32Value
	return v[run[0]]&16|v[run[1]]&2|v[run[3]]&8|v[run[4]]&1|v[run[6]]&4 == 0
}
