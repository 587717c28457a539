package attack_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/attack"
)

// A bottle that says the wrong things, or nothing, does not hold.
func TestJudge(t *testing.T) {
	const good = "attack\ta\trefused x|unreachable\tunreachable\ncontrol\tb\tyes\tyes\n"
	for name, test := range map[string]struct {
		said string
		code int
		want string // in the problems; empty = it held
	}{
		"held":                {good, 0, ""},
		"an attack succeeded": {good + "attack\tc\trefused x\tanswered 200\n", 0, "attack c: answered 200, not refused x"},
		"another refusal":     {good + "attack\tc\trefused x\trefused xy\n", 0, "attack c: refused xy"},
		"a control failed":    {good + "control\tc\tyes\t\n", 0, "control c: , not yes"},
		"no world":            {good + "arrives\tc\tyes\tyes\n", 0, "did not arrive"},
		"a missing tool":      {good + "missing\tcurl\n", 0, "curl is not installed"},
		"nothing":             {"", 0, "only 0 attacks"},
		"no control":          {"attack\ta\tx\tx\n", 0, "0 controls"},
		"died half-way":       {good, 2, "code 2"},
		"strange lines":       {good + "hello\n", 0, "none of its own"},
		"too few fields":      {good + "attack\tc\n", 0, "attack c"},
		"control characters":  {good + "attack\tc\tx\t\x1b[2Jheld\n", 0, "?[2Jheld"},
		"endless":             {strings.Repeat(good, 1<<15), 0, "printed more than"},
	} {
		t.Run(name, func(t *testing.T) {
			bottle := func(_ context.Context, _ []string, out, _ io.Writer) (int, error) {
				_, err := io.WriteString(out, test.said)
				return test.code, err
			}
			for _, r := range attack.Run(t.Context(), bottle, nil, attack.Live()[:1]) {
				all := strings.Join(r.Problems, "\n")
				if r.Held() != (test.want == "") || !strings.Contains(all, test.want) {
					t.Errorf("held %v: %s", r.Held(), all)
				}
			}
		})
	}
}

// Cases are told apart by name where a person sees them, and each says what it
// tries.
func TestCases(t *testing.T) {
	for _, c := range attack.Live() {
		if c.NeedsWorld {
			t.Errorf("%s can not be played in any bottle", c.Name)
		}
	}
	seen := map[string]bool{}
	for _, c := range attack.Cases() {
		if seen[c.Name] {
			t.Errorf("there are two cases named %s", c.Name)
		}
		seen[c.Name] = true
		if c.Tells == "" || strings.HasPrefix(c.Tells, "#!") {
			t.Errorf("%s does not say what it tries", c.Name)
		}
	}
}
