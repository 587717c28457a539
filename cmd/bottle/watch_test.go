package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestWatchTellsWhatToolsRun(t *testing.T) {
	workspace := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(workspace, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".git/config", "[core]")
	write(".git/modules/sub/objects/aa/bb", "not looked at")
	write(".vscode/tasks.json", "{}")
	write("main.go", "package main")
	before := watch(workspace)
	if changed := before.changes(); len(changed) != 0 {
		t.Errorf("nothing changed, told %q", changed)
	}

	write(".git/config", "[core]\nfsmonitor = evil")
	write(".git/modules/sub/hooks/post-checkout", "evil")
	write(".git/modules/sub/objects/aa/bb", "changed")
	write(".envrc", "evil")
	write(".git/commondir", "../.evil")
	write("lib/vendored/.git/config", "[core]")
	write("main.go", "package other")
	if err := os.Remove(filepath.Join(workspace, ".vscode/tasks.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(workspace, ".mcp.json")); err != nil {
		t.Fatal(err)
	}
	want := []string{".envrc", ".git/commondir", ".git/config", ".git/modules/sub/hooks/post-checkout", ".mcp.json", ".vscode/tasks.json", "lib/vendored/.git/config"}
	if changed := before.changes(); !slices.Equal(changed, want) {
		t.Errorf("told %q, not %q", changed, want)
	}
}
