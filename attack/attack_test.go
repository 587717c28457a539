package attack_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/attack"
)

// programs is where the real binaries are, built once.
var programs string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "attack-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	// A bottle's first process has no rights of the operator's and must be able
	// to run the program.
	if err := os.Chmod(dir, 0o755); err != nil {
		panic(err)
	}
	for name, pkg := range map[string]string{"bottle": "../cmd/bottle", "sidecars": "../cmd/sidecars"} {
		build := exec.Command("go", "build", "-o", filepath.Join(dir, name), pkg)
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			panic(err)
		}
	}
	programs = dir
	if os.Getenv("CLAUDE_BOTTLE_BACKEND") == "docker" {
		if err := makeImages(); err != nil {
			fmt.Fprintln(os.Stderr, "the suite on docker needs an engine, see scripts/docker-engine:", err)
			return 1
		}
	}
	return m.Run()
}

// makeImages names the images of a bottle on docker, where nobody did. The
// bundle's is built of the present source, the agent's is what
// scripts/docker-engine makes.
func makeImages() error {
	if os.Getenv("CLAUDE_BOTTLE_AGENT_IMAGE") == "" {
		os.Setenv("CLAUDE_BOTTLE_AGENT_IMAGE", "claude-bottle-agent:test")
	}
	if os.Getenv("CLAUDE_BOTTLE_SIDECAR_IMAGE") != "" {
		return nil
	}
	const image = "claude-bottle-sidecars:attack"
	os.Setenv("CLAUDE_BOTTLE_SIDECAR_IMAGE", image)
	build := exec.Command("../scripts/image")
	build.Env = append(os.Environ(), "IMAGE="+image, "PIPELOCK_BIN=", "PIPELOCK_IMAGE=")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// TestAttacks plays every case in a real bottle, of the backend that
// CLAUDE_BOTTLE_BACKEND names, with docker in the shape that
// CLAUDE_BOTTLE_SIDECAR_BUNDLE says.
func TestAttacks(t *testing.T) {
	w := newWorld(t)
	home := w.up(t)
	inside := func(ctx context.Context, command []string, out, err io.Writer) (int, error) {
		return finish(w.bottle(ctx, home, append([]string{"exec", slug, "--"}, command...)...), out, err)
	}
	go w.rejectAll(t.Context(), home)
	for _, c := range attack.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			for _, r := range attack.Run(t.Context(), inside, w, []attack.Case{c}) {
				for _, p := range r.Problems {
					t.Error(p)
				}
				t.Logf("%s: %d attempts", r.Case.Tells, len(r.Attempts))
			}
		})
	}
}

// TestFindsLeaks plays a case outside of any bottle, where nothing holds it, and
// the suite must say so. It is one that reaches the world's own servers alone.
func TestFindsLeaks(t *testing.T) {
	w := newWorld(t)
	outside := func(ctx context.Context, command []string, out, err io.Writer) (int, error) {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Env = append(os.Environ(), w.secrets()...)
		return finish(cmd, out, err)
	}
	for _, c := range attack.Cases() {
		if c.Name != "2-address-not-allowed" || !c.NeedsWorld {
			continue
		}
		for _, r := range attack.Run(t.Context(), outside, w, []attack.Case{c}) {
			all := strings.Join(r.Problems, "\n")
			for _, want := range []string{"attack ", "control ", "got out: a connection to the collector", "got out: a datagram to the collector"} {
				if !strings.Contains(all, want) {
					t.Errorf("%s: nothing is held back, and no problem says %q: %s", c.Name, want, all)
				}
			}
		}
	}
}

func finish(cmd *exec.Cmd, out, err io.Writer) (int, error) {
	cmd.Stdout, cmd.Stderr = out, err
	e := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](e); ok {
		return exit.ExitCode(), nil
	}
	return 0, e
}

// output runs a program to its end and fails the test when it fails.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out.String(), complaints.String())
	}
	return out.String()
}
