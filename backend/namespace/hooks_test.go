//go:build linux

package namespace_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/backend"
)

// gitIn runs git in a folder with nobody's configuration.
func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "safe.directory=*", "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// Git on the host does not take its configuration from a folder that the agent
// made; inside and outside it works as before.
func TestCommondirCannotLeadElsewhere(t *testing.T) {
	home := newHome(t)
	script := `set -e; git config --global user.name a; git config --global user.email a@example.com
echo two > two; git add two; git commit -qm two; git branch side; git status --short
set +e; cp -r .git .cd.git; git --git-dir=.cd.git config core.fsmonitor "touch RAN;false"; sed -i /worktree/d .cd.git/config
rm -f .git/commondir; mv .git/commondir .git/c; cp .git/commondir .git/new; mv .git/new .git/commondir; echo ../.cd.git > .git/commondir
mv .git .g; true`
	p := newPlan(t, home, "commondir", sh("true")...)
	ran := filepath.Join(filepath.Dir(p.Workspace), "ran")
	p.Command = sh(strings.Replace(script, "RAN", ran, 1))
	gitIn(t, p.Workspace, "init", "-q")
	gitIn(t, p.Workspace, "commit", "-qm", "one", "--allow-empty")
	out, code := finish(t, home, p, nil)
	if log := gitIn(t, p.Workspace, "log", "--format=%s", "side"); code != 0 || log != "two\none\n" {
		t.Errorf("control: git inside: exit code %d, log %q\n%s", code, log, out)
	}
	gitIn(t, p.Workspace, "status")
	if _, err := os.Stat(ran); err == nil {
		t.Error("git outside ran the agent's program")
	}
	path := filepath.Join(p.Workspace, ".git", "commondir")
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is left behind: %v", err)
	}
	if err := os.WriteFile(path, []byte("../.cd.git\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	gitIn(t, p.Workspace, "status")
	if _, err := os.Stat(ran); err != nil {
		t.Errorf("control: git outside follows the file: %v", err)
	}
}

// Of two bottles in one workspace, the one that ends first leaves the other
// protected.
func TestCommondirOfTwoBottles(t *testing.T) {
	home := newHome(t)
	first := newPlan(t, home, "first", sh("true")...)
	gitIn(t, first.Workspace, "init", "-q")
	second := newPlan(t, home, "second", sh("sleep 4242")...)
	second.Workspace = first.Workspace
	b := start(t, home, second, backend.Stdio{})
	if out, code := finish(t, home, first, nil); code != 0 {
		t.Fatal(out)
	}
	var out buffer
	if code, err := b.Exec(t.Context(), sh("exec 2>&1; echo /tmp > .git/commondir; rm .git/commondir; cat .git/commondir"), backend.Stdio{Out: &out, Err: &out}); code != 0 || err != nil || !strings.HasSuffix(out.String(), "\n.\n") {
		t.Errorf("exit code %d %v: %s", code, err, out.String())
	}
	if status := gitIn(t, first.Workspace, "status"); !strings.Contains(status, "No commits yet") {
		t.Errorf("git outside, meanwhile: %s", status)
	}
}

// Submodules' hooks cannot be written or moved out of the way.
func TestHooksOfSubmodules(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "modules", sh(`cd .git/modules; for m in plain deep/er plain/modules/nested; do echo evil > $m/hooks/pre-commit; mv $m/hooks $m/h; mv $m $m.old; echo good > $m/config; done
mv deep d; cd ..; mv modules m; true`)...)
	git := filepath.Join(p.Workspace, ".git", "modules")
	names := []string{"plain", "deep/er", "plain/modules/nested"}
	for _, name := range names {
		if err := errors.Join(
			os.MkdirAll(filepath.Join(git, name, "hooks"), 0o755),
			os.WriteFile(filepath.Join(git, name, "HEAD"), []byte("ref: refs/heads/main\n"), 0o644),
			os.WriteFile(filepath.Join(git, name, "hooks", "pre-commit"), []byte("good\n"), 0o755),
		); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := finish(t, home, p, nil)
	for _, name := range names {
		for _, file := range []string{"hooks/pre-commit", "config"} {
			if content, err := os.ReadFile(filepath.Join(git, name, file)); string(content) != "good\n" {
				t.Errorf("%s of %s: %q %v\n%s", file, name, content, err, out)
			}
		}
	}
}

// A repository that is a link is refused, one that a file names is pinned.
func TestRepositoryElsewhere(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "link", sh("true")...)
	git := filepath.Join(p.Workspace, ".git")
	if err := os.Symlink("elsewhere", git); err != nil {
		t.Fatal(err)
	}
	if _, err := newBackend(t, home, "good").Start(t.Context(), p, backend.Stdio{}, nil); err == nil || !strings.Contains(err.Error(), ".git is a link") {
		t.Errorf("a link: %v", err)
	}
	p = newPlan(t, home, "file", sh("echo evil > .git; mv .git g; rm .git; cat .git")...)
	if err := os.WriteFile(filepath.Join(p.Workspace, ".git"), []byte("gitdir: /elsewhere\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, _ := finish(t, home, p, nil) // both streams, in no order
	content, err := os.ReadFile(filepath.Join(p.Workspace, ".git"))
	if err != nil || string(content) != "gitdir: /elsewhere\n" || !strings.Contains(out, string(content)) {
		t.Errorf("a file: %q %q %v", out, content, err)
	}
}
