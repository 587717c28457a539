package gitgate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cloned returns a clone through the gate.
func (g *gate) cloned(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	git(t, "", "clone", "-q", g.url, dir)
	return dir
}

// refs is everything the upstream has by name.
func (g *gate) refs(t *testing.T) string { return git(t, g.upstream, "for-each-ref") }

// passes pushes and checks that the upstream has what was pushed.
func (g *gate) passes(t *testing.T, dir string, args ...string) string {
	t.Helper()
	before := g.refs(t)
	out, err := tryGit(t, dir, append([]string{"push", "origin"}, args...)...)
	if err != nil {
		t.Fatalf("push %v: %v\n%s", args, err, out)
	}
	if g.refs(t) == before {
		t.Errorf("push %v: the upstream has nothing new\n%s", args, out)
	}
	return out
}

// refuses pushes and checks that the upstream is as it was: no reference moved
// and no object came.
func (g *gate) refuses(t *testing.T, dir, want string, args ...string) string {
	t.Helper()
	before, objects := g.refs(t), git(t, g.upstream, "count-objects", "-v")
	out, err := tryGit(t, dir, append([]string{"push", "origin"}, args...)...)
	if err == nil || !strings.Contains(out, want) {
		t.Errorf("push %v: %v, want %q in\n%s", args, err, want, out)
	}
	if strings.Contains(out, secret) {
		t.Errorf("push %v shows the secret:\n%s", args, out)
	}
	if after := g.refs(t); after != before {
		t.Errorf("push %v changed the upstream:\n%s", args, after)
	}
	if after := git(t, g.upstream, "count-objects", "-v"); after != objects {
		t.Errorf("push %v left objects upstream:\n%s\n%s", args, objects, after)
	}
	return out
}

// commit writes files and commits them.
func commit(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		git(t, dir, "add", "-f", name)
	}
	git(t, dir, "commit", "-q", "-m", "change "+strings.Join(keys(files), " "))
}

func keys(m map[string]string) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	return names
}

func TestPush(t *testing.T) {
	g := startGate(t, nil)
	dir := g.cloned(t)
	commit(t, dir, map[string]string{"README": "more widgets\n"})
	g.passes(t, dir, "HEAD:refs/heads/main")
	commit(t, dir, map[string]string{"src/a.go": "package a\n"})
	g.passes(t, dir, "HEAD:refs/heads/new")
	commit(t, dir, map[string]string{"src/b.go": "package b\nvar x = \"" + secret + "\"\n"})
	out := g.refuses(t, dir, "remote: git-gate: refused: known-secret in src/b.go line 2 of ", "HEAD:refs/heads/main")
	if !strings.Contains(out, "! [remote rejected]") {
		t.Errorf("no rejection of the reference: %s", out)
	}
}
