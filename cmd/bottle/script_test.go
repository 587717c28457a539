package main_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// programs are the real binaries, built once with the race detector.
var programs string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	// An init of a bottle runs as a user of no rights and must be able to
	// execute the program.
	dir, err := os.MkdirTemp("", "bottle-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		panic(err)
	}
	for name, pkg := range map[string]string{
		"bottle":           ".",
		"sidecars":         "../sidecars",
		"pipelock-standin": "../../internal/pipelocktest/pipelock-standin",
	} {
		build := exec.Command("go", "build", "-race", "-o", filepath.Join(dir, name), pkg)
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			panic(err)
		}
	}
	programs = dir
	// A machine with an engine and images must not make other bottles of them.
	os.Setenv("CLAUDE_BOTTLE_BACKEND", "namespace")
	os.Setenv("GORACE", "atexit_sleep_ms=0") // by default each program waits a second at its end
	return m.Run()
}

// TestScripts runs each script of testdata/script as a user at a shell would.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: setUp,
	})
}

func setUp(env *testscript.Env) error {
	env.Setenv("PATH", programs+":"+os.Getenv("PATH"))
	env.Setenv("CLAUDE_BOTTLE_HOME", filepath.Join(env.WorkDir, "home"))
	env.Setenv("TERM", "xterm")
	env.Setenv("GORACE", os.Getenv("GORACE"))
	env.Cd = filepath.Join(env.WorkDir, "project")
	return errors.Join(
		os.MkdirAll(env.Cd, 0o700),
		os.MkdirAll(filepath.Join(env.WorkDir, "home", "bottles"), 0o700),
	)
}

// TestDemo plays the whole demo; it fails when anything is not as told.
func TestDemo(t *testing.T) {
	cmd := exec.Command(filepath.Join(programs, "bottle"), "demo")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
