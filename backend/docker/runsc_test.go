//go:build linux

package docker

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/containment"
)

// The seal for a runtime with a network stack of its own stops on the wire what
// the agent sends, and lets it reach the bundle's doors. Before it, the host
// hears the agent.
func TestSealOnTheWire(t *testing.T) {
	heard := listenEverywhere(t)
	s := begun(t, false)
	inside := func(script string, args ...string) string {
		return docker(t, append([]string{"exec", s.agent, "python3", "-c", script}, args...)...)
	}
	eventually(t, "the host hears an agent that is not sealed", func() bool {
		inside(shout, fmt.Sprint(heard.port))
		return heard.heard.Load() > 0
	})
	if err := removeContainer(t.Context(), s.api, s.sealer); err != nil {
		t.Fatal(err)
	}
	s.runtime = runsc
	var err error
	if s.sealer, err = s.createSeal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := heard.heard.Load()
	inside(shout, fmt.Sprint(heard.port))
	time.Sleep(100 * time.Millisecond)
	if now := heard.heard.Load(); now != before {
		t.Errorf("the host heard the agent %d times", now-before)
	}
	const reach = `
import socket, sys
for port in sys.argv[1:]:
    try:
        socket.create_connection(("egress", int(port)), 1).close()
        print(port, "open")
    except OSError:
        print(port, "closed")
`
	if got := inside(reach, "9099", "9101", "22"); got != "9099 open\n9101 closed\n22 closed" {
		t.Errorf("the bundle's ports: %s", got)
	}
}

// A runtime that is registered as runsc is the agent's and not the bundle's. One
// that is not gVisor, and has the kernel's network stack, is found by the proof.
func TestRuntimeIsChosen(t *testing.T) {
	runc, err := exec.LookPath("runc")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	used, program := filepath.Join(dir, "used"), filepath.Join(dir, "runsc")
	script := fmt.Sprintf("#!/bin/sh\necho \"$@\" >>%s\nexec %s \"$@\"\n", used, runc)
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	startOwnEngine(t, "--add-runtime=runsc="+program)
	home := newHome(t)
	b := New(Options{Home: home, Image: testImage, AgentImage: testImage}).(*Backend)
	p := newPlan(t, home, "other", patient...)
	_, err = b.Start(t.Context(), p, backend.Stdio{}, nil)
	if !errors.Is(err, containment.ErrNotContained) || !strings.Contains(err.Error(), "127.0.0.11") {
		t.Errorf("%v", err)
	}
	said, _ := os.ReadFile(used)
	if created := strings.Count(string(said), " create "); created != 1 {
		t.Errorf("%d containers were made with it, want the agent's alone:\n%s", created, said)
	}
	nothingLeft(t, home, "other")
}
