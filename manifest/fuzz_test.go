package manifest

import (
	"bytes"
	"testing"
)

func FuzzFrontMatter(f *testing.F) {
	for _, seed := range []string{"---\nenv: {A: b}\n---\nbody\n", "body", "---\n", "---\n---", "\ufeff---\r\nextends: [a]\r\n---\r\n", "--- \n---\t\n---\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 8<<10 {
			return
		}
		front, body, err := split(src)
		if err != nil {
			return
		}
		if front == nil && !bytes.Equal(body, bytes.TrimPrefix(src, []byte("\ufeff"))) {
			t.Fatalf("lost: %q became %q", src, body)
		}
		if !bytes.HasSuffix(src, body) || front != nil && !bytes.Contains(src, front[1:]) {
			t.Fatalf("changed: %q became %q and %q", src, front, body)
		}
		file, err := parseBottle(src)
		if err != nil {
			if locate("file", err).Error() == "" {
				t.Fatal("an error without words")
			}
			return
		}
		file.layOver(Default("x"), "file")
	})
}
