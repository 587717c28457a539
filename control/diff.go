package control

import (
	"bytes"

	"github.com/rogpeppe/go-internal/diff"
)

// unified is the difference of two routes files in the unified format; empty
// when there is none.
func unified(before, after []byte) string {
	return Diff("live routes", before, "routes after it", after)
}

// Diff is the difference of two texts in the unified format, with their names
// in its head; empty when there is none.
func Diff(beforeName string, before []byte, afterName string, after []byte) string {
	out := diff.Diff(beforeName, before, afterName, after)
	if _, rest, ok := bytes.Cut(out, []byte("\n")); ok { // "diff a b"
		out = rest
	}
	return string(out)
}
