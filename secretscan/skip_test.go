package secretscan

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// What looks at many bytes at once skips nothing that looking at one after the
// other finds. The functions named same compare each fast way with a plain one.

// TestSkipping tries random texts with much of what the searches stop at.
func TestSkipping(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	alphabets := []string{
		"azAZ09+/-_", strings.Repeat("azAZ09+/-_", 4) + " \n\r,:{", "abcdef0123456789", "a\\nrt.B-\\", "key-token:secret_api pat",
		"abcdefghijklmnop\nqrst\r\n", "PK\x03\x04BZhH4sIUEsD%1F8b9cx\x1f\x8b\x08\x9c\xda", "7,3 1:", "\x00\x7f\x80\xff a",
	}
	for range 10_000 {
		text := make([]byte, random.IntN(300))
		alphabet := alphabets[random.IntN(len(alphabets))]
		for i := range text {
			text[i] = alphabet[random.IntN(len(alphabet))]
			if random.IntN(60) == 0 {
				text[i] = byte(random.IntN(256))
			}
		}
		sameAll(t, text)
		for i := range text {
			text[i] ^= 0x80 // hardly any ASCII
		}
		sameAll(t, text)
	}
	for c := range 256 {
		if (c < '+' || c > 'z') && base64Value[c] != 0xff {
			t.Errorf("%q is in an alphabet", rune(c))
		}
	}
}

func FuzzSkipping(f *testing.F) {
	for _, seed := range []string{
		"VnE4LXBs\nYWluVG9r\n", "x VnE4LXBsYWluVG9r.", "\\nk\\\\ne.y", "PK\x03\x04 BZh H4sI %1F%8B%08 x\x9c", "Authorization: Bearer api_key", "567138:2d706c:61696e:54",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(sameAll)
}

func sameAll(t *testing.T, text []byte) {
	sameRuns(t, text)
	sameTexts(t, text)
	sameFolding(t, text)
	sameMagics(t, text)
	sameWords(t, text)
}

func isOf(text []byte, values *[256]byte) bool {
	return !slices.ContainsFunc(text, func(c byte) bool { return values[c] == 0xff })
}

func sameRuns(t *testing.T, text []byte) {
	for from := 0; from < len(text); from += 1 + len(text)/3 {
		want := from
		for ; want < len(text); want++ {
			end := want
			for end < len(text) && base64Value[text[end]] != 0xff {
				end++
			}
			after := bytes.TrimPrefix(text[end:], []byte("\r"))
			goesOn := len(after) > 1 && after[0] == '\n' && base64Value[after[1]] != 0xff
			if begins := want == from || base64Value[text[want-1]] == 0xff; begins && (end-want >= minRun || end-want >= minLine && goesOn) {
				break
			}
		}
		if got := nextRun(text, from); got != want {
			t.Fatalf("%q from %d: %d, want %d", text, from, got, want)
		}
		for _, values := range []*[256]byte{hexValue, base32Value} {
			want := from
			for want+minRun <= len(text) && !isOf(text[want:want+minRun], values) {
				want++
			}
			if want+minRun > len(text) {
				want = len(text)
			}
			begin, end := stretch(text, from, values)
			if begin != want || !isOf(text[begin:end], values) || end < len(text) && values[text[end]] != 0xff {
				t.Fatalf("%q from %d: %d to %d, want %d", text, from, begin, end, want)
			}
		}
	}
}

func sameTexts(t *testing.T, text []byte) {
	want, run := -1, 0
	for i, c := range text {
		if run++; c >= 0x80 {
			run = 0
		}
		if run == minText {
			want = i + 1 - minText
			break
		}
	}
	if got := textBegin(text, 0); got != want {
		t.Fatalf("%q: %d, want %d", text, got, want)
	}
	for i := range len(text) - 14 {
		again := false
		for at := i; at < i+3; at++ {
			again = again || text[at] == text[at+3] && text[at] == text[at+6]
		}
		if got := repeats(text[i:]); got != again {
			t.Fatalf("%q: %v, want %v", text[i:], got, again)
		}
	}
}

func sameFolding(t *testing.T, text []byte) {
	var want []byte
	for i, c := range text {
		escaped := i > 0 && text[i-1] == '\\' && strings.IndexByte("nrt", c) >= 0
		if (c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z') && !escaped {
			want = append(want, bytes.ToLower([]byte{c})...)
		}
	}
	if got := appendFolded(nil, text); !bytes.Equal(got, want) {
		t.Fatalf("%q: %q, want %q", text, got, want)
	}
}

func sameMagics(t *testing.T, text []byte) {
	got, want := make(map[string]bool), make(map[string]bool)
	for i := range openers {
		o := &openers[i]
		for at := range text {
			if !o.first && strings.HasPrefix(string(text[at:]), o.magic) && o.fits(text[at:], true) {
				want[fmt.Sprint(at, " ", o.magic)] = true
			}
		}
	}
	marks(text, true, func(at int, o *opener) bool {
		got[fmt.Sprint(at, " ", o.magic)] = true
		return true
	})
	if !maps.Equal(got, want) {
		t.Fatalf("%q: %v, want %v", text, got, want)
	}
	if got := holdsContainer(text); got != (len(want) > 0 || smallZlib(text)) {
		t.Fatalf("%q: %v, want %v", text, got, want)
	}
}

func sameWords(t *testing.T, text []byte) {
	rs, err := defaultRules()
	if err != nil {
		t.Fatal(err)
	}
	got, want := make(map[string]bool), make(map[string]bool)
	rs.words.find(text, func(begin, number int) { got[fmt.Sprint(begin, " ", number)] = true })
	for _, same := range rs.words.lists {
		for _, w := range same {
			for at := range text {
				if equalFold(text[at:], w.word) {
					want[fmt.Sprint(at, " ", w.number)] = true
				}
			}
		}
	}
	for place := range want {
		if !got[place] {
			t.Fatalf("%q: %s is not found", text, place)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%q: %v, want %v", text, got, want)
	}
}

// TestEveryWordIsFoundEverywhere puts each word, in both cases, at every place of
// what is looked at together, and before the end.
func TestEveryWordIsFoundEverywhere(t *testing.T) {
	rs, err := defaultRules()
	if err != nil {
		t.Fatal(err)
	}
	for _, same := range rs.words.lists {
		for _, w := range same {
			for before := range 20 {
				for after := range 9 {
					for _, form := range []string{w.word, strings.ToUpper(w.word)} {
						text := strings.Repeat("e", before) + form + strings.Repeat(" ", after)
						found := false
						rs.words.find([]byte(text), func(begin, number int) { found = found || begin == before && number == w.number })
						if !found {
							t.Fatalf("%q is not found in %q", w.word, text)
						}
					}
				}
			}
		}
	}
}

// TestEveryPatternIsFoundEverywhere does the same with those of known values.
func TestEveryPatternIsFoundEverywhere(t *testing.T) {
	s, err := New([]string{fuzzValue, "k7Xq92Lm", `p"a/s\s<w&o>r d+%21é#`}, WithoutRules())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []*index{s.known.forms, s.known.folded} {
		for _, same := range x.patterns {
			for _, p := range same {
				for before := range 45 {
					for _, after := range []int{0, 1, 7, 30} {
						text := strings.Repeat("-", before) + p.text + strings.Repeat(".", after)
						found := false
						x.find([]byte(text), func(at int, candidates []pattern) bool {
							found = found || at == before && slices.Contains(candidates, p)
							return true
						})
						if !found {
							t.Fatalf("%q is not found in %q", p.text, text)
						}
					}
				}
			}
		}
	}
}

// TestCharactersAreNotBytes: an archive in JSON was unpacked from its characters in
// UTF-8 too, and many small files of which that made nothing were refused.
func TestCharactersAreNotBytes(t *testing.T) {
	for source, want := range map[string][]string{
		`PK\u0003\u0004\u00e9`: {"PK\x03\x04\xe9"},
		`PK\x03\x04\u00e9`:     {"PK\x03\x04\xe9", "PK\x03\x04\u00e9"}, // Go's, or another's
	} {
		var got []string
		for _, body := range asBytes('\\', []byte("PK\x03\x04\u00e9"), []byte(source)) {
			got = append(got, string(body))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
}
