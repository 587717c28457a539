package egress

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/secretscan"
)

// FuzzFrames: whatever an agent sends, only well-formed frames come out, and
// the secret is never among what they carry.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(frame(0x81, "text", true)))
	f.Add([]byte(frame(0x01, "hunter2-hunt", true) + frame(0x89, "x", true) + frame(0x80, "er2-hunter2", true)))
	f.Add([]byte(frame(0x82, strings.Repeat("0123456789abcdef", 40), true) + frame(0x88, "\x03\xe8bye", true)))
	f.Add([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	scanner, err := secretscan.New([]string{known}, secretscan.WithoutRules())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		var out bytes.Buffer
		_ = relayFrames(&frameWriter{w: &out}, &frameReader{r: bufio.NewReader(bytes.NewReader(sent)), masked: true}, scanner, "message")
		var data bytes.Buffer
		again := &frameReader{r: bufio.NewReader(&out)}
		for {
			if err := again.next(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("what came out is no frame: %v", err)
			}
			payload := make([]byte, again.left)
			if err := again.readAll(payload); err != nil {
				t.Fatal(err)
			}
			if !again.control() {
				data.Write(payload)
			}
		}
		if strings.Contains(data.String(), known) {
			t.Fatal("the secret came out")
		}
	})
}
