package pipelock

import (
	"slices"
	"strings"
	"testing"
)

func TestLines(t *testing.T) {
	long := strings.Repeat("x", maxLine+1)
	for _, test := range []struct {
		name   string
		writes []string
		want   []string
	}{
		{"whole lines", []string{"a\nb\n"}, []string{"a", "b"}},
		{"in pieces", []string{"a", "b\nc", "d\n"}, []string{"ab", "cd"}},
		{"no end", []string{"a\nb"}, []string{"a", "b"}},
		{"blank lines", []string{"\n \na\r\n\n"}, []string{"a"}},
		{"too long", []string{"a\n" + long + "\nb\n"}, []string{"a", "(a line of more than 65536 bytes is left out)", "b"}},
		{"too long in pieces", []string{long[:40000], long[:40000], "\nb"}, []string{"(a line of more than 65536 bytes is left out)", "b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			l := &lines{emit: func(line string) { got = append(got, line) }}
			for _, w := range test.writes {
				if n, err := l.Write([]byte(w)); n != len(w) || err != nil {
					t.Fatal(n, err)
				}
			}
			l.flush()
			if !slices.Equal(got, test.want) {
				t.Errorf("got %.100q, want %q", got, test.want)
			}
		})
	}
}

func TestSecretLines(t *testing.T) {
	key := "-----BEGIN KEY-----\nbase64-of-the-first-line\r\nand-of-the-second-line\n-----END KEY-----\n"
	got := secretLines([]string{"too short", strings.Repeat("l", 4097), "a-secret-that-is-long-enough", "a-secret-that-is-long-enough", key})
	want := []string{"a-secret-that-is-long-enough", "and-of-the-second-line", "base64-of-the-first-line"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
