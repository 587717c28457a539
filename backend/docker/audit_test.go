//go:build linux

package docker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// In the split shape each role writes a chain of its own. The operator's log
// anchors every one, so that a tail that was cut is missed.
func TestSplitChainsAreAnchored(t *testing.T) {
	home := newHome(t)
	bottleFile(t, home, plainBottle)
	workspace := filepath.Join(t.TempDir(), "workspace")
	if err := os.Mkdir(workspace, 0o700); err != nil {
		t.Fatal(err)
	}
	up := bottleCommand(t, home, "up", "--backend", "docker", "--bottle", "tested", "--label", "chains", "--workspace", workspace, "--", "true")
	up.Env = append(up.Env, "CLAUDE_BOTTLE_SIDECAR_BUNDLE=0")
	output(t, up)

	verify := func() (anchored int, broken string) {
		said, _ := bottleCommand(t, home, "audit", "verify", "chains", "--json").Output()
		var chains []struct {
			Slug, Broken      string
			Records, Anchored int
		}
		if err := json.Unmarshal(said, &chains); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		for _, c := range chains {
			if broken += c.Broken; c.Slug != "" && c.Records > 0 && c.Anchored == c.Records {
				anchored++
			}
		}
		return anchored, broken
	}
	chain := home.Dir("chains").RoleAudit("supervise")
	whole, err := os.ReadFile(chain)
	if err != nil {
		t.Fatal(err)
	}
	if anchored, broken := verify(); anchored != 2 || broken != "" {
		t.Errorf("%d chains of egress and supervise are anchored to the end: %s", anchored, broken)
	}
	lines := strings.SplitAfter(string(whole), "\n")
	if err := os.WriteFile(chain, []byte(strings.Join(lines[:len(lines)-2], "")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, broken := verify(); !strings.Contains(broken, "the chain was cut") {
		t.Errorf("a cut tail: %q", broken)
	}
	if err := os.Remove(chain); err != nil {
		t.Fatal(err)
	}
	if _, broken := verify(); !strings.Contains(broken, "the chain is gone") {
		t.Errorf("no chain: %q", broken)
	}
}
