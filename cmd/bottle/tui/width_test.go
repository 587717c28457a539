package tui

import (
	"slices"
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want []string
	}{
		{"", 10, []string{""}},
		{"one two three", 10, []string{"one two", "three"}},
		{"exactly ten", 11, []string{"exactly ten"}},
		{"abcdefghijklmnop", 8, []string{"abcdefgh", "ijklmnop"}},
		{"東京東京東京", 8, []string{"東京東京", "東京"}},
		{strings.Repeat("e\u0317", 9), 8, []string{strings.Repeat("e\u0317", 4), strings.Repeat("e\u0317", 4), "e\u0317"}},
		{"a" + strings.Repeat("\u0317", 20), 8, []string{"a" + strings.Repeat("\u0317", 20)}}, // never shown: Clean leaves three marks
	} {
		if got := wrap(c.text, c.n); !slices.Equal(got, c.want) {
			t.Errorf("wrap(%+q, %d) = %+q, want %+q", c.text, c.n, got, c.want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"short", 10, "short"}, {"just", 4, "just"}, {"toolong", 4, "too~"}, {"東京", 3, "東~"}, {"東京", 2, "~"}, {"x", 0, ""}, {"±±", 3, "±~"},
	} {
		if got := fit(c.text, c.n); got != c.want {
			t.Errorf("fit(%q, %d) = %q, want %q", c.text, c.n, got, c.want)
		}
	}
	if got := pad("ab", 4); got != "ab  " {
		t.Errorf("pad: %q", got)
	}
}
