package secretscan_test

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

// TestEdgesOfReads puts secrets at every place around the end of a read, with as
// much text before them as readers take at once.
func TestEdgesOfReads(t *testing.T) {
	known := planted[0]
	s := mustNew(t, known)
	filler := strings.Repeat("It was the best of times, it was the worst: of (17, 42) times;\n", 1100)
	for name, secret := range map[string]string{
		"known":        known,
		"token":        token,
		"base64":       base64.StdEncoding.EncodeToString([]byte("token " + token + "\n")),
		"hex":          hex.EncodeToString([]byte(token + "\n")),
		"known folded": strings.Join(strings.Split(strings.ToUpper(known), ""), "."),
		"lines":        wrap(base64.StdEncoding.EncodeToString([]byte("the token is "+token+", really")), 12),
	} {
		for _, edge := range []int{4 << 10, 64 << 10} {
			for begin := edge - len(secret) - 9; begin < edge+9; begin++ {
				text := filler[:begin-1] + "\n" + secret + "\n" + filler[:100]
				released, found, err := stream(s, text[:edge], text[edge:])
				if found == nil || err != nil || strings.Contains(released, secret) {
					t.Fatalf("%s at %d: %v %v", name, begin, found, err)
				}
				if s.Text("body", text) == nil {
					t.Fatalf("%s at %d in one text: nothing found", name, begin)
				}
			}
		}
	}
	if _, found, err := stream(s, filler[:64<<10], filler[64<<10:]); found != nil || err != nil {
		t.Errorf("control: %v %v", found, err)
	}
}

// TestAWordOnTheLineBeforeHidesNoEncodedLines: the line before encoded ones has
// another length, and belonged to them.
func TestAWordOnTheLineBeforeHidesNoEncodedLines(t *testing.T) {
	s := mustNew(t, planted...)
	for width := 8; width < 20; width++ {
		for _, word := range []string{"configuration", "abcdefghijklmnopqrstuvwxyz", "configuration\nadministrator", "a short word"} {
			text := word + "\n" + wrap(base64.StdEncoding.EncodeToString([]byte("the token is "+token+", really\n")), width)
			if s.Text("body", text) == nil {
				t.Errorf("lines of %d after %s: nothing found", width, word)
			}
		}
	}
}
