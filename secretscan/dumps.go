package secretscan

import (
	"fmt"
	"strings"
)

// dumps are the words that od, xxd and hexdump write bytes in, the last byte
// first: how, of how many bytes, and how many digits a piece gives whole: of
// eight bytes, or of twelve for the longest.
var dumps = []struct {
	format       string
	bytes, piece int
}{{"%02x", 1, 16}, {"%03o", 1, 24}, {"%04x", 2, 12}, {"%06o", 2, 18}, {"%08x", 4, 16}}

// dumpStreams are a value in words as they stand in text without its signs.
func dumpStreams(value string, number int) []pattern {
	var windows []pattern
	for _, dump := range dumps {
		for skipped := range dump.bytes {
			digits := inWords(value[skipped:], dump.format, dump.bytes)
			s := stream{digits, len(fmt.Sprintf(dump.format, 0)), dump.bytes, -skipped, true}
			windows = append(windows, s.patterns(number, dump.piece)...)
		}
	}
	return windows
}

// inWords is the whole words that value gives.
func inWords(value, format string, size int) string {
	var out strings.Builder
	for ; len(value) >= size; value = value[size:] {
		word := uint32(0)
		for i := size - 1; i >= 0; i-- {
			word = word<<8 | uint32(value[i])
		}
		fmt.Fprintf(&out, format, word)
	}
	return out.String()
}
