package main_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/claude-bottle/claude-bottle/proposal"
)

// typing is a command at a terminal.
type typing struct {
	t   *testing.T
	mu  sync.Mutex
	out bytes.Buffer
	in  io.Writer
	end func() error
}

func (b *liveBottle) atTerminal(args ...string) *typing {
	b.t.Helper()
	cmd := b.command(args...)
	terminal, err := pty.Start(cmd)
	if err != nil {
		b.t.Fatal(err)
	}
	s := &typing{t: b.t, in: terminal, end: cmd.Wait}
	go io.Copy(s, terminal)
	b.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		terminal.Close()
	})
	return s
}

func (s *typing) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

// expect waits for words and answers them.
func (s *typing) expect(words, answer string) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		text := s.out.String()
		found := strings.Contains(text, words)
		if found { // what follows may be the next question
			s.out.Next(strings.Index(text, words) + len(words))
		}
		s.mu.Unlock()
		if found {
			io.WriteString(s.in, answer)
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("never said %q:\n%s", words, text)
		}
	}
}

// TestAtATerminal: nothing is approved there that was not shown, and a yes is
// asked for.
func TestAtATerminal(t *testing.T) {
	b := startBottle(t, "typed")
	p := b.file("new.test")

	s := b.atTerminal("proposals", "approve", p.ID, "--once")
	s.expect("agent says | for a test", "")
	s.expect("approve new.test for one request? [y/N] ", "\n")
	if err := s.end(); err != nil || b.allowed("new.test") || b.answer(p.ID) != "" {
		t.Errorf("approved without a yes (%v)", err)
	}

	s = b.atTerminal("proposals", "approve", p.ID)
	s.expect("until the bottle ends? [y/N] ", "y\n")
	if err := s.end(); err != nil || !b.allowed("new.test") || b.answer(p.ID) != proposal.Approved {
		t.Errorf("not approved with a yes (%v)", err)
	}

	// What `show` showed is not shown again.
	p = b.file("other.test")
	b.run("proposals", "show", p.ID)
	s = b.atTerminal("proposals", "approve", p.ID)
	s.expect("is approved", "")
	if err := s.end(); err != nil || !b.allowed("other.test") {
		t.Errorf("not approved after it was shown (%v)", err)
	}

	// An edit that cannot be used can be edited again.
	p = b.file("third.test")
	b.env = append(b.env, `EDITOR=sh -c 'grep -q hots "$1" && sed -i s/hots/host/ "$1" && echo "  methods: [GET]" >>"$1" || sed -i s/host:/hots:/ "$1"' sh`)
	s = b.atTerminal("proposals", "modify", p.ID)
	s.expect(`did you mean "host"`, "")
	s.expect("edit it again? [y/N] ", "y\n")
	s.expect("grant this? [y/N] ", "y\n")
	if err := s.end(); err != nil || b.answer(p.ID) != proposal.Modified {
		t.Errorf("not modified (%v)", err)
	}
}

// TestInterruptAtATerminal: until the command runs, Ctrl-C is the operator's
// and ends the start; from then on it is the command's.
func TestInterruptAtATerminal(t *testing.T) {
	b := &liveBottle{t: t, home: t.TempDir(), workspace: t.TempDir()}
	b.env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "CLAUDE_BOTTLE_HOME="+b.home)

	// Before: a bundle that never becomes ready keeps the start waiting.
	never := filepath.Join(t.TempDir(), "sidecars")
	if err := os.WriteFile(never, []byte("#!/bin/sh\n[ \"$1\" = version ] && exec "+programs+"/sidecars version\nexec sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.env = append(b.env, "CLAUDE_BOTTLE_SIDECARS="+never)
	s := b.atTerminal("up", "--label", "early", "--", "sleep", "60")
	s.expect("starting the bundle …", "\x03") // told because it lasts
	s.expect("interrupt while the bottle started; nothing of it runs", "")
	if err := s.end(); exitStatus(err) != 130 {
		t.Errorf("the start ended with %v, want 130", err)
	}

	b.env = append(b.env, "CLAUDE_BOTTLE_SIDECARS="+programs+"/sidecars")
	s = b.atTerminal("up", "--label", "late", "--", "sh", "-c", "trap 'echo the command has it; exit 9' INT; stty -echo; echo running; while :; do sleep 0.05; done")
	s.expect("running", "\x03")
	s.expect("the command has it", "")
	if err := s.end(); exitStatus(err) != 9 {
		t.Errorf("the command ended with %v, want 9", err)
	}
}

func exitStatus(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return 0
}
