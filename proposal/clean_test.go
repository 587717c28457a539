package proposal_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/claude-bottle/claude-bottle/proposal"
)

func TestClean(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "I need the API of Zürich, 東京 & Αθήνα.", "I need the API of Zürich, 東京 & Αθήνα."},
		{"lines", "one\r\n\ttwo\u2028three\u0085four", "one two three four"},
		{"colour", "\x1b[31;1mred\x1b[0m \u009b2Jgone", "red gone"},
		{"title", "a\x1b]0;owned\ab", "ab"},
		{"lone escape", "a\x1bcb\x00\x7f", "acb"},
		{"bidi", "evil\u202etxt.exe\u2066\u200f", "eviltxt.exe"},
		{"zero width", "pay\u200bpal\u2060\ufeff.com\u00ad", "paypal.com"},
		{"tags", "hi\U000E0068\U000E0069", "hi"},
		{"variation", "a\ufe0fb\U000E0101", "ab"},
		{"fillers", "a\u3164\u115f\u2800b", "ab"},
		{"private use", "a\ue000b\U0010fffd", "ab"},
		{"decomposed", "e\u0301", "é"},
		{"zalgo", "a" + strings.Repeat("\u0317", 50), "a\u0317\u0317\u0317"},
		{"not UTF-8", "a\xff\xc0b", "a\ufffd\ufffdb"},
		{"spaces", "  a \u00a0\u3000 b  ", "a b"},
		{"cut", strings.Repeat("x", 41), strings.Repeat("x", 39) + "…"},
		{"megabyte", strings.Repeat("é", 1<<20), strings.Repeat("é", 39) + "…"},
	} {
		if got := proposal.Clean(c.in, 40); got != c.want {
			t.Errorf("%s: %+q, want %+q", c.name, got, c.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"a\x1b[31mb", "e\u0301\u0301\u0301\u0301", "\u202e\u3164", "\xff\u0085", "\u1100\u1161", "\x1b\x1b[[mm"} {
		f.Add(seed, 10)
	}
	f.Fuzz(func(t *testing.T, text string, max int) {
		max &= 1023
		got := proposal.Clean(text, max)
		if n := utf8.RuneCountInString(got); n > max {
			t.Errorf("%d characters, at most %d wanted", n, max)
		}
		if again := proposal.Clean(got, max); again != got {
			t.Errorf("%+q became %+q", got, again)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) || unicode.In(r, unicode.Bidi_Control, unicode.Other_Default_Ignorable_Code_Point) {
				t.Errorf("%U in %+q", r, got)
			}
		}
	})
}
