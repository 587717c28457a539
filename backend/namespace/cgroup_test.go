//go:build linux

package namespace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

// unified plays a unified hierarchy: plain files where the kernel has its own.
func unified(t *testing.T, controllers string, files ...string) (base, group string) {
	t.Helper()
	parent := t.TempDir()
	base = filepath.Join(parent, cgroupName)
	group = filepath.Join(base, "bottle")
	if err := os.MkdirAll(group, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{
		filepath.Join(parent, "cgroup.subtree_control"): controllers, filepath.Join(parent, "cgroup.procs"): "", filepath.Join(base, "cgroup.subtree_control"): "",
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range files {
		if err := os.WriteFile(filepath.Join(group, file), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return base, group
}

func TestUnifiedHierarchy(t *testing.T) {
	limits := plan.Limits{Pids: 77, MemoryBytes: 1 << 20}
	base, group := unified(t, "cpu memory pids\n", "pids.max", "memory.max", "cgroup.procs") // no swap accounting
	if err := makeUnified(base, "bottle", limits); err != nil {
		t.Fatal(err)
	}
	if err := (cgroups{group}).add(1234); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(base, "cgroup.subtree_control"): "+pids +memory",
		filepath.Join(group, "pids.max"):              "77",
		filepath.Join(group, "memory.max"):            "1048576",
		filepath.Join(group, "cgroup.procs"):          "1234",
	} {
		if content, err := os.ReadFile(path); err != nil || string(content) != want {
			t.Errorf("%s: %q %v, want %q", path, content, err, want)
		}
	}

	base, _ = unified(t, "cpu pids\n", "pids.max")
	if err := makeUnified(base, "bottle", limits); err == nil || !strings.Contains(err.Error(), "memory controller") {
		t.Errorf("without the memory controller: %v", err)
	}
	base, _ = unified(t, "memory pids\n", "pids.max") // no memory.max: not a control group
	if err := makeUnified(base, "bottle", limits); err == nil {
		t.Error("a limit that cannot be set is taken as set")
	}
}

// Where this machine lets us, the groups are real.
func TestRealGroups(t *testing.T) {
	dir := state.Home(t.TempDir()).Dir("groups")
	made, err := newCgroups(dir, plan.Limits{Pids: 77, MemoryBytes: 1 << 20})
	if err != nil {
		if len(made) != 0 {
			t.Errorf("%v stay behind after %v", made, err)
		}
		t.Logf("no control groups can be made here: %v", err)
		return
	}
	if content, err := os.ReadFile(filepath.Join(made[0], "pids.max")); err != nil || strings.TrimSpace(string(content)) != "77" {
		t.Errorf("pids.max: %q %v", content, err)
	}
	if err := made.remove(); err != nil {
		t.Error(err)
	}
	for _, group := range made {
		if _, err := os.Stat(group); err == nil {
			t.Errorf("%s stays behind", group)
		}
	}
}
