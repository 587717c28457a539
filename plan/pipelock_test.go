package plan_test

import (
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/plan"
)

// A bundle that brings its own firewall needs none of the host's, and one that
// brings none takes none.
func TestOwnPipelock(t *testing.T) {
	for _, c := range []struct {
		file, digest string
		own          bool
		want, err    string
	}{
		{"auto", "digest", true, "on", ""},
		{"required", "digest", true, "on", ""},
		{`"off"`, "digest", true, "off", ""},
		{"auto", "", true, "off", ""},
		{"required", "", true, "", "image holds none"},
		{"required", "", false, "", "not installed"},
	} {
		s := newSetting(t, map[string]string{"home/bottles/own.md": "---\npipelock: " + c.file + "\n---\n"})
		s.options.Bottle = "own"
		s.options.OwnPipelock = func(string) (string, bool, error) { return c.digest, c.own, nil }
		p, err := plan.Prepare(t.Context(), s.options)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if err != nil || p.Pipelock != c.want || p.PipelockBin != "" {
			t.Errorf("%+v: %v %v", c, p, err)
		}
	}
}
