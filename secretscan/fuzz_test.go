package secretscan

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

const fuzzValue = "Vq8-plainTokenValue_0192837465"

func fuzzScanner(t testing.TB) *Scanner {
	t.Helper()
	s, err := New([]string{fuzzValue, "k7Xq92Lm"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// FuzzScan: no input breaks the scanner, a stream is released unchanged or
// refused, the known value never comes through, and redacting is complete.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		"plain " + fuzzValue, "%56q8-plain\\u0054okenValue_0192837465", "VnE4LXBsYWluVG9rZW5WYWx1ZV8wMTkyODM3NDY1",
		"567138\r\n2d706c61696e", "V\x00q\x008\x00-\x00p\x00", "\x1f\x8b\x08\x00", "PK\x03\x04", "&#x56;&amp;&lt", "[86, 113, 56, 45, 112, 108]", "56 71 38 2d 70 6c 61 69 6e 54", `\126\161\70`, "VnE4LXBs\nYWluVG9r\n",
		"H4sIAAAAAAAA/0tMSgY", "BZh91AY&SY", "\x4b\x4c\x4a\x06\x00",
		"key = \"abc123def456ghi789\"",
	} {
		f.Add([]byte(seed), 5)
	}
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		s := fuzzScanner(t)
		if len(text) > 0 {
			cut = ((cut % len(text)) + len(text)) % len(text)
		} else {
			cut = 0
		}
		source := io.MultiReader(bytes.NewReader(text[:cut]), bytes.NewReader(text[cut:]))
		released, err := io.ReadAll(s.Reader("body", source))
		found, refused := errors.AsType[*Finding](err)
		switch {
		case err != nil && !refused:
			t.Fatal(err)
		case err == nil && !bytes.Equal(released, text):
			t.Fatalf("released %q", released)
		case refused && !bytes.HasPrefix(text, released):
			t.Fatalf("released %q", released)
		case bytes.Contains(released, []byte(fuzzValue)):
			t.Fatalf("the value came through: %v", found)
		}
		whole := fuzzScanner(t).Bytes("body", text)
		if whole != nil && whole.Rule == KnownSecret && !refused {
			t.Fatalf("as a whole %v, cut at %d nothing", whole, cut)
		}
		if clean := s.Redact(string(text)); strings.Contains(clean, fuzzValue) {
			t.Fatalf("not redacted: %q", clean)
		}
	})
}

// FuzzAutomaton: where one of a rule's forms matches, its automaton sees a match.
func FuzzAutomaton(f *testing.F) {
	rs, err := defaultRules()
	if err != nil {
		f.Fatal(err)
	}
	for i := range rs.list {
		f.Add(i, "api_key = 'Zk3Qn8VxT2LrY7WbM4Hs'\n")
	}
	f.Fuzz(func(t *testing.T, number int, text string) {
		r := rs.list[((number%len(rs.list))+len(rs.list))%len(rs.list)]
		for i := range len(text) {
			if text[i] >= 0x80 {
				return // counted in bytes, not in characters
			}
		}
		matches := r.compiled().MatchString(text) || r.loose != nil && r.loose().MatchString(text)
		a := r.machine()
		a.mu.Lock()
		defer a.mu.Unlock()
		state, seen, match := dead, false, false
		for i := range len(text) {
			prev := prevNone
			if i > 0 {
				prev = kindOf(text[i-1])
			}
			state = a.start(state, prev)
			state, match = a.step(state, int(text[i]))
			seen = seen || match
		}
		if state != dead {
			_, match = a.step(state, endOfText)
			seen = seen || match
		}
		if seen != matches {
			t.Fatalf("%s on %q: the expressions say %v, the automaton %v", r.id, text, matches, seen)
		}
	})
}
