package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/state"
)

// liveBottle is a bottle that runs in the background.
type liveBottle struct {
	t          *testing.T
	slug, home string
	workspace  string
	env        []string
}

// startBottle starts one with the real programs; its workspace holds `bottle`,
// for its MCP client.
func startBottle(t *testing.T, slug string, environ ...string) *liveBottle {
	t.Helper()
	b := &liveBottle{t: t, slug: slug, home: t.TempDir(), workspace: t.TempDir()}
	b.env = append(os.Environ(), append([]string{
		"PATH=" + programs + ":" + os.Getenv("PATH"), "CLAUDE_BOTTLE_HOME=" + b.home,
	}, environ...)...)
	for path, content := range map[string][]byte{
		filepath.Join(b.home, "bottles", "plain.md"): []byte("---\negress:\n  routes:\n    - host: base.test\n---\n"),
		filepath.Join(b.workspace, "bottle"):         program(t, "bottle"),
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.run("up", "--bottle", "plain", "--label", slug, "--workspace", b.workspace, "-d", "--", "sleep", "3600")
	t.Cleanup(func() { b.run("down", slug) })
	return b
}

func program(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(programs, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func (b *liveBottle) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(programs, "bottle"), args...)
	cmd.Env, cmd.Dir = b.env, b.workspace
	return cmd
}

// run runs one command of the operator's, which must work, and returns what it
// printed.
func (b *liveBottle) run(args ...string) string {
	b.t.Helper()
	cmd := b.command(args...)
	out, err := cmd.Output()
	if err != nil {
		var words []byte
		if exit, ok := err.(*exec.ExitError); ok {
			words = exit.Stderr
		}
		b.t.Fatalf("bottle %q: %v\n%s%s", args, err, out, words)
	}
	return string(out)
}

// background starts a command that ends with the test.
func (b *liveBottle) background(args ...string) {
	b.t.Helper()
	cmd := b.command(args...)
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func (b *liveBottle) dir() state.Dir { return state.Home(b.home).Dir(b.slug) }

// file puts a proposal into the bottle's queue, as the bundle does.
func (b *liveBottle) file(host string) proposal.Proposal {
	b.t.Helper()
	q, err := proposal.Create(b.dir().Queue(), proposal.Options{Slug: b.slug})
	if err != nil {
		b.t.Fatal(err)
	}
	defer q.Close()
	draft, err := proposal.AskEgress(host, nil, nil, "for a test")
	if err != nil {
		b.t.Fatal(err)
	}
	p, _, err := q.Add(draft)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *liveBottle) waiting() []proposal.Entry {
	b.t.Helper()
	waiting, problems, err := control.Waiting(b.dir())
	if err != nil || len(problems) > 0 {
		b.t.Fatal(err, problems)
	}
	return waiting
}
