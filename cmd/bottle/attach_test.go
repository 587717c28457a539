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
)

// screen is a program at a terminal.
type screen struct {
	t    *testing.T
	cmd  *exec.Cmd
	keys *os.File
	mu   sync.Mutex
	text bytes.Buffer
	read chan struct{}
}

func atTerminal(t *testing.T, cmd *exec.Cmd, size pty.Winsize) *screen {
	t.Helper()
	master, err := pty.StartWithSize(cmd, &size)
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, cmd: cmd, keys: master, read: make(chan struct{})}
	t.Cleanup(func() { master.Close() })
	go func() {
		defer close(s.read)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			s.mu.Lock()
			s.text.Write(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *screen) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *screen) await(want string) {
	s.t.Helper()
	for range 2400 {
		if strings.Contains(s.shown(), want) {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	s.t.Fatalf("%q did not appear in %q", want, s.shown())
}

// ask presses keys again and again until what is wanted appears: a window takes
// a moment to get its size.
func (s *screen) ask(keys, want string) {
	s.t.Helper()
	for range 240 {
		s.press(keys)
		time.Sleep(250 * time.Millisecond)
		if strings.Contains(s.shown(), want) {
			return
		}
	}
	s.t.Fatalf("%q did not appear in %q", want, s.shown())
}

func (s *screen) press(keys string) {
	s.t.Helper()
	if _, err := io.WriteString(s.keys, keys); err != nil {
		s.t.Fatal(err)
	}
}

// end is the program's exit code.
func (s *screen) end() int {
	s.t.Helper()
	<-s.read
	err := s.cmd.Wait()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return failed.ExitCode()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return 0
}

// An operator joins the terminal of an agent in the background, types, leaves,
// comes back with another window, and gets the agent's exit code; what a second
// operator sees meanwhile is the same.
func TestAttach(t *testing.T) {
	home, work := t.TempDir(), t.TempDir()
	bottle := func(args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(programs, "bottle"), args...)
		cmd.Dir = work
		cmd.Env = append(os.Environ(), "CLAUDE_BOTTLE_HOME="+home, "CLAUDE_BOTTLE_BACKEND=namespace", "TERM=xterm")
		return cmd
	}
	if err := os.MkdirAll(filepath.Join(home, "bottles"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "bottles", "shell.md"), []byte("---\nagent:\n  command: [sh]\n---\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const script = `while read -r word; do echo "<$word> $(stty size)"; [ "$word" = over ] && exit 7; done`
	if out, err := bottle("up", "-d", "--label", "joined", "--", "sh", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { _ = bottle("down", "joined").Run() })

	first := atTerminal(t, bottle("attach", "joined"), pty.Winsize{Rows: 30, Cols: 100})
	first.await("Ctrl-] leaves")
	first.ask("one\n", "<one> 30 100")
	first.press("\x1d")
	if code := first.end(); code != 0 || !strings.Contains(first.shown(), "left joined") {
		t.Fatalf("leaving: %d, %q", code, first.shown())
	}

	second := atTerminal(t, bottle("attach", "joined"), pty.Winsize{Rows: 20, Cols: 90})
	second.await("Ctrl-] leaves")
	second.ask("two\n", "<two> 20 90")
	watcher := atTerminal(t, bottle("attach", "joined"), pty.Winsize{Rows: 20, Cols: 90})
	watcher.ask("three\n", "<three> 20 90")
	second.await("<three> 20 90")
	second.press("over\n")
	for _, s := range []*screen{second, watcher} {
		if code := s.end(); code != 7 || !strings.Contains(s.shown(), "<over>") {
			t.Errorf("the agent's end: %d, %q", code, s.shown())
		}
	}
	log, err := bottle("logs", "--agent", "joined").Output()
	if err != nil || !bytes.Contains(log, []byte("<three> 20 90\n")) {
		t.Errorf("the log: %v, %q", err, log)
	}
	if out, err := bottle("attach", "joined").CombinedOutput(); err == nil || !bytes.Contains(out, []byte("no running bottle")) {
		t.Errorf("attaching to what ended: %v %s", err, out)
	}
}

// An agent without a terminal has none to join, and is told so.
func TestAttachWithoutTerminal(t *testing.T) {
	home, work := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "bottles"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "bottles", "shell.md"), []byte("---\nagent:\n  command: [sh]\n---\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "CLAUDE_BOTTLE_HOME="+home, "CLAUDE_BOTTLE_BACKEND=namespace")
	up := exec.Command(filepath.Join(programs, "bottle"), "up", "--label", "piped", "--", "sh", "-c", "echo ready; read -r word; echo $word")
	up.Dir, up.Env = work, env
	in, _ := up.StdinPipe()
	out, _ := up.StdoutPipe()
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, line); err != nil {
		t.Fatal(err)
	}
	attach := exec.Command(filepath.Join(programs, "bottle"), "attach", "piped")
	attach.Env = env
	said, err := attach.CombinedOutput()
	if err == nil || !bytes.Contains(said, []byte("no terminal")) {
		t.Errorf("%v: %s", err, said)
	}
	io.WriteString(in, "unharmed\n")
	rest, _ := io.ReadAll(out)
	if err := up.Wait(); err != nil || string(rest) != "unharmed\n" {
		t.Errorf("%v, %q", err, rest)
	}
}
