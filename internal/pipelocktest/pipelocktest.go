// Package pipelocktest builds the stand-in for the pipelock program: a real
// process with pipelock's command line, health answer, strict configuration and
// allowlist, for tests where the pinned program cannot be had.
package pipelocktest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// StandIn is a stand-in in a folder of its own.
type StandIn struct {
	Path string
	// SHA256 is the pin of Path, in hex.
	SHA256 string
}

// Build returns a fresh copy of the stand-in that lives as long as the test.
func Build(t testing.TB) StandIn {
	t.Helper()
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	s := StandIn{Path: filepath.Join(t.TempDir(), "pipelock")}
	if err := os.WriteFile(s.Path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	s.SHA256 = hex.EncodeToString(sum[:])
	return s
}

// Hooks makes every later start of this stand-in misbehave in the named ways,
// one a line; without lines it behaves again. They stand in the file
// Path+".hooks", because its environment and command line are fixed.
//
//	host NAME ADDRESS   resolve NAME to ADDRESS, without the system's resolver
//	slow-start 300ms    listen only after that time
//	never-ready         /health answers 503
//	kill-switch         start with the kill switch on
//	exit 7              exit with that code at once
//	ignore-term         SIGTERM does nothing
//	print TEXT          print a line to stdout and stderr at the start
func (s StandIn) Hooks(t testing.TB, lines ...string) {
	t.Helper()
	if err := os.WriteFile(s.Path+".hooks", []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// build compiles the program once in this process.
var build = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "pipelock-standin-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "pipelock")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path,
		"github.com/claude-bottle/claude-bottle/internal/pipelocktest/pipelock-standin")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the stand-in: %w\n%s", err, out)
	}
	return os.ReadFile(path)
})
