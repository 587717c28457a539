package secretscan_test

import (
	"os/exec"
	"strings"
	"testing"
)

// commands turn what they read into what no decoding takes off again.
var commands = map[string]string{
	"base64, reversed":   "base64 -w0 | rev",
	"hex, reversed":      "od -An -v -tx1 | tr -d ' \\n' | rev",
	"numbers":            "od -An -v -tu1",
	"numbers in a line":  "od -An -v -tu1 -w999",
	"dump":               "od -v -tx1",
	"words":              "od -v -x",
	"octal":              "od -v -b",
	"rot13":              "tr A-Za-z N-ZA-Mn-za-m",
	"ascii85":            `python3 -c 'import base64,sys; print(base64.a85encode(sys.stdin.buffer.read()).decode())'`,
	"base85":             `python3 -c 'import base64,sys; print(base64.b85encode(sys.stdin.buffer.read()).decode())'`,
	"uuencode":           `python3 -c 'import binascii,sys; print(binascii.b2a_uu(sys.stdin.buffer.read()).decode())'`,
	"uuencode's accents": `python3 -c 'import binascii,sys; print(binascii.b2a_uu(sys.stdin.buffer.read(),backtick=True).decode())'`,
	"base32hex":          `python3 -c 'import base64,sys; print(base64.b32hexencode(sys.stdin.buffer.read()).decode())'`,
	"list":               `python3 -c 'import sys; print(list(sys.stdin.buffer.read()))'`,
	"braces":             `python3 -c 'import sys; print("".join("\\u{%x}" % c for c in sys.stdin.buffer.read()))'`,
}

// TestOneCommand: what one command makes of a known value is told, also behind
// other bytes.
func TestOneCommand(t *testing.T) {
	const value, other = "Vq8-plainTokenValue_0192837465", "Zx3-otherTokenValue_5647382910"
	s := mustNew(t, value)
	for name, command := range sortedByKey(commands) {
		for before := range 5 {
			made := func(text string) string {
				cmd := exec.Command("sh", "-c", command)
				cmd.Stdin = strings.NewReader(strings.Repeat("~", before) + text)
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				return string(out)
			}
			if form := made(value); s.Text("body", "text="+form) == nil {
				t.Errorf("%s behind %d bytes got out: %q", name, before, form)
			}
			if form := made(other); s.Text("body", "text="+form) != nil {
				t.Errorf("control: %s behind %d bytes was refused: %q", name, before, form)
			}
		}
	}
}
