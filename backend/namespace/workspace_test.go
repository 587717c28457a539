//go:build linux

package namespace_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The workspace's files belong to the same user outside before and after, and
// to the agent inside, whoever the operator is.
func TestOwnership(t *testing.T) {
	owners := []int{os.Geteuid()}
	if os.Geteuid() == 0 {
		owners = append(owners, 12345) // as under sudo
	}
	for _, owner := range owners {
		home := newHome(t)
		p := newPlan(t, home, "owner", sh("stat -c %u . old; echo changed >> old; mkdir dir; echo new > dir/new; chmod 600 dir/new; ln -s old link")...)
		old := filepath.Join(p.Workspace, "old")
		if err := os.WriteFile(old, []byte("old\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{p.Workspace, old} {
			if err := os.Chown(path, owner, owner); err != nil {
				t.Fatal(err)
			}
		}
		if out, code := finish(t, home, p, nil); out != "1000\n1000\n" || code != 0 {
			t.Errorf("owner %d: %q, exit code %d", owner, out, code)
		}
		for name, content := range map[string]string{"old": "old\nchanged\n", "dir/new": "new\n", "dir": "", "link": "old\nchanged\n"} {
			path := filepath.Join(p.Workspace, name)
			info, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			if uid := int(info.Sys().(*syscall.Stat_t).Uid); uid != owner {
				t.Errorf("%s belongs to %d outside, want %d", name, uid, owner)
			}
			if got, err := os.ReadFile(path); content != "" && (err != nil || string(got) != content) {
				t.Errorf("%s: %q %v", name, got, err)
			}
		}
	}
}

// Git hooks cannot be written, made, or moved out of the way; the rest of the
// repository can be.
func TestHooks(t *testing.T) {
	for name, prepare := range map[string]func(git string) error{
		"present": func(git string) error {
			if err := os.MkdirAll(filepath.Join(git, "hooks"), 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(git, "hooks", "pre-commit"), []byte("good\n"), 0o755)
		},
		"absent": func(git string) error { return os.MkdirAll(git, 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			home := newHome(t)
			p := newPlan(t, home, "hooks", sh(`exec 2>&1; cd .git; echo evil > hooks/pre-commit; echo evil > hooks/post-checkout; rm -rf hooks; mv hooks h; cd ..; mv .git g; rm -rf .git
mkdir -p .git/hooks && echo evil > .git/hooks/pre-push; mkdir -p fresh/.git && echo good > .git/config && cat .git/config`)...)
			git := filepath.Join(p.Workspace, ".git")
			if err := prepare(git); err != nil {
				t.Fatal(err)
			}
			out, code := finish(t, home, p, nil)
			if code != 0 || !strings.HasSuffix(out, "good\n") {
				t.Errorf("control: the repository cannot be written: %q", out)
			}
			hooks, err := os.ReadDir(filepath.Join(git, "hooks"))
			if err != nil {
				t.Fatal(err)
			}
			for _, hook := range hooks {
				if content, _ := os.ReadFile(filepath.Join(git, "hooks", hook.Name())); string(content) != "good\n" {
					t.Errorf("%s: %q", hook.Name(), content)
				}
			}
		})
	}
}

// Limits end a fork bomb and a memory hog, not the host.
func TestLimits(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "limits", sh(`i=0; while [ $i -lt 100 ]; do sleep 1 & i=$((i+1)); done 2>/tmp/fork; ls /tmp/fork`)...)
	p.Limits.Pids = 40
	if out, code := finish(t, home, p, nil); code == 0 && !strings.Contains(out, "fork") {
		t.Errorf("100 processes ran: %d %q", code, out)
	}
	p = newPlan(t, home, "memory", sh(`head -c 400000000 /dev/zero | tail -c 400000000 > /dev/null; echo $?`)...)
	control, _ := finish(t, home, p, nil)
	p = newPlan(t, home, "memory2", p.Command...)
	p.Limits.MemoryBytes = 100 << 20
	hog, code := finish(t, home, p, nil)
	if !strings.HasSuffix(control, "0\n") || code == 0 && strings.HasSuffix(hog, "0\n") && hog == control {
		t.Errorf("control %q, with a limit %q", control, hog)
	}
}
