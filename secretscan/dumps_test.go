package secretscan_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// dump is what od, hexdump and xxd print: a number before every line of sixteen
// bytes, and words of so many bytes, the last byte first if little.
func dump(text, number, format string, size int, little bool) string {
	var out strings.Builder
	for at := 0; at < len(text); at += 16 {
		if number != "" {
			fmt.Fprintf(&out, number, at)
		}
		for i := at; i < min(at+16, len(text)); i += size {
			word := uint32(0)
			for j := range size {
				place := j
				if little {
					place = size - 1 - j
				}
				word <<= 8
				if i+place < len(text) {
					word |= uint32(text[i+place])
				}
			}
			fmt.Fprintf(&out, " "+format, word)
		}
		out.WriteString("\n")
	}
	return out.String()
}

// TestDumps: a value is found in what programs print bytes as, at any place in
// the line and in the word.
func TestDumps(t *testing.T) {
	programs := map[string]func(string) string{
		"hexdump -C":  func(s string) string { return hex.Dump([]byte(s)) },
		"xxd":         func(s string) string { return dump(s, "%08x:", "%04x", 2, false) },
		"xxd -g4":     func(s string) string { return dump(s, "%08x:", "%08x", 4, false) },
		"xxd -e":      func(s string) string { return dump(s, "%08x:", "%08x", 4, true) },
		"hexdump":     func(s string) string { return dump(s, "%07x", "%04x", 2, true) },
		"od":          func(s string) string { return dump(s, "%07o", "%06o", 2, true) },
		"od -tx1":     func(s string) string { return dump(s, "%07o", "%02x", 1, true) },
		"od -b":       func(s string) string { return dump(s, "%07o", "%03o", 1, true) },
		"od -An -x":   func(s string) string { return dump(s, "", "%04x", 2, true) },
		"od -An -tx4": func(s string) string { return dump(s, "", "%08x", 4, true) },
	}
	random := strings.Repeat("Lorem ipsum dolor sit amet, consectetur 0123456789. ", 4)
	for _, value := range []string{planted[0], "hunter22-x9Zq4", "tok_4f9A8xQ2LmZ7Vb1Rk6Pd"} {
		for program, print := range sortedByKey(programs) {
			for before := range 16 {
				text := print(random[:before] + value + "\n")
				found := mustNew(t, value).Text("body", text)
				if found == nil {
					t.Errorf("%s behind %d of %q got out: %s", program, before, value, text)
				}
			}
			if f := mustNew(t, value).Text("body", print(random)); f != nil {
				t.Errorf("control: %s: %v", program, f)
			}
		}
	}
}
