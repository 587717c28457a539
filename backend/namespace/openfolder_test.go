//go:build linux

package namespace

import (
	"os"
	"path/filepath"
	"testing"
)

// A link that appears in a path after it was resolved is not followed.
func TestOpenFolderFollowsNothing(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "real", "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	folder, err := openFolder(filepath.Join(dir, "real", "sub"))
	if err != nil {
		t.Fatalf("control: %v", err)
	}
	folder.Close()
	for _, path := range []string{filepath.Join(dir, "link"), filepath.Join(dir, "link", "sub")} {
		if folder, err := openFolder(path); err == nil {
			folder.Close()
			t.Errorf("%s is followed", path)
		}
	}
}
