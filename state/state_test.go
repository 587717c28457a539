package state_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/claude-bottle/claude-bottle/state"
)

func TestLocate(t *testing.T) {
	t.Setenv("HOME", "/home/somebody")
	t.Setenv("CLAUDE_BOTTLE_HOME", "")
	if h, err := state.Locate(); err != nil || h != "/home/somebody/.claude-bottle" {
		t.Errorf("by HOME: %q %v", h, err)
	}
	t.Setenv("CLAUDE_BOTTLE_HOME", "/srv/bottles")
	if h, err := state.Locate(); err != nil || h != "/srv/bottles" {
		t.Errorf("by CLAUDE_BOTTLE_HOME: %q %v", h, err)
	}
	t.Setenv("CLAUDE_BOTTLE_HOME", "")
	for _, home := range []string{"", "relative"} {
		t.Setenv("HOME", home)
		if h, err := state.Locate(); err == nil || !strings.Contains(err.Error(), "HOME") {
			t.Errorf("HOME=%q: %q %v", home, h, err)
		}
	}
}

func TestCreate(t *testing.T) {
	home := state.Home(filepath.Join(t.TempDir(), "home"))
	d, err := home.Create("demo-1")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(string(home), func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	keep := filepath.Join(d.In(), "keep")
	if err := os.WriteFile(keep, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := home.Create("demo-1"); !errors.Is(err, state.ErrExists) {
		t.Errorf("made twice: %v", err)
	}
	if _, err := os.Stat(keep); err != nil {
		t.Errorf("the refusal changed the living bottle: %v", err)
	}
	if slugs, err := home.Slugs(); err != nil || !slices.Equal(slugs, []string{"demo-1"}) {
		t.Errorf("listed %v, %v", slugs, err)
	}
	if err := d.Remove(); err != nil || home.Exists("demo-1") {
		t.Errorf("not removed: %v", err)
	}
}

func TestCreateInFolderOfOthers(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Home(dir).Create("x"); err == nil || !strings.Contains(err.Error(), "written by others") {
		t.Errorf("got %v", err)
	}
}

func TestSlugs(t *testing.T) {
	for _, slug := range []string{"a", "demo-1", "0", strings.Repeat("a", 41)} {
		if err := state.CheckSlug(slug); err != nil {
			t.Errorf("%q: %v", slug, err)
		}
	}
	for _, slug := range []string{"", "-a", "A", "a/b", "..", "a.b", "a b", "a\n", strings.Repeat("a", 42)} {
		if err := state.CheckSlug(slug); err == nil {
			t.Errorf("%q passed", slug)
		}
		if _, err := state.Home(t.TempDir()).Create(slug); err == nil {
			t.Errorf("%q was made", slug)
		}
	}
	for _, agent := range []string{"demo", "", "--", "Ünïcode Näme", strings.Repeat("long", 30), "../../etc"} {
		a, b := state.NewSlug(agent), state.NewSlug(agent)
		if err := state.CheckSlug(a); err != nil || a == b {
			t.Errorf("for %q: %q, %q, %v", agent, a, b, err)
		}
	}
}

func TestOutIsReadAsHostile(t *testing.T) {
	home := state.Home(filepath.Join(t.TempDir(), "home"))
	d, err := home.Create("x")
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(d.Out(), name)); err != nil {
			t.Fatal(err)
		}
	}
	write(secret, "hands off")
	write(filepath.Join(d.Queue(), "plain.json"), "content")
	if b, err := d.ReadOut("queue/plain.json", 7); err != nil || string(b) != "content" {
		t.Fatalf("control: %q %v", b, err)
	}
	if names, err := d.ListOut("queue", 1); err != nil || !slices.Equal(names, []string{"plain.json"}) {
		t.Fatalf("control: %v %v", names, err)
	}

	link(secret, "link.json")
	link("queue/plain.json", "inner.json")
	link(filepath.Dir(secret), "folder")
	link("queue", "again")
	if err := syscall.Mkfifo(filepath.Join(d.Out(), "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(d.Out(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for _, name := range []string{
		"link.json", "inner.json", "folder/secret", "again/plain.json", "pipe", "s", "queue", "queue/plain.json/x",
		"../in", "../../../secret", secret, "", ".", "queue/../../in",
	} {
		if b, err := d.ReadOut(name, 100); !errors.Is(err, state.ErrHostile) {
			t.Errorf("%q: %q %v", name, b, err)
		}
	}
	if _, err := d.ReadOut("queue/plain.json", 6); !errors.Is(err, state.ErrHostile) {
		t.Errorf("over the limit: %v", err)
	}
	for _, name := range []string{"folder", "again", "pipe", ".."} {
		if names, err := d.ListOut(name, 100); !errors.Is(err, state.ErrHostile) {
			t.Errorf("listed %q: %v %v", name, names, err)
		}
	}
	write(filepath.Join(d.Queue(), "second.json"), "")
	if _, err := d.ListOut("queue", 1); !errors.Is(err, state.ErrHostile) {
		t.Errorf("more files than the limit: %v", err)
	}
	if _, err := d.ReadOut("queue/missing", 1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

func TestSocketFitsAnywhere(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	for _, depth := range []int{1, 20} {
		home := state.Home(filepath.Join(t.TempDir(), strings.Repeat("deep/folder/", depth)))
		d, err := home.Create("x")
		if err != nil {
			t.Fatal(err)
		}
		path, err := d.Socket("control.sock")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		defer l.Close()
		if again, err := d.Socket("control.sock"); err != nil || again != path {
			t.Errorf("not found again: %s, %v", again, err)
		}
		if err := d.Remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("left behind: %v", err)
		}
	}
}

func TestSocketFolderOfOthers(t *testing.T) {
	runtime := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	d := state.Home("/" + strings.Repeat("long/", 30)).Dir("x")
	if _, err := d.Socket("s"); err != nil {
		t.Fatalf("control: %v", err)
	}
	entries, err := os.ReadDir(runtime)
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	shared := filepath.Join(runtime, entries[0].Name())
	if err := os.Chmod(shared, 0o777); err != nil {
		t.Fatal(err)
	}
	if path, err := d.Socket("s"); err == nil {
		t.Errorf("used %s in a folder that everybody can write to", path)
	}
}
