package tui

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"
)

// What the test binary does as a program of its own.
const (
	viewVariable  = "TUI_TEST_VIEW"  // what the desk does
	filesVariable = "TUI_TEST_FILES" // where it writes
)

func TestMain(m *testing.M) {
	if what := os.Getenv(viewVariable); what != "" {
		os.Exit(view(what, os.Getenv(filesVariable)))
	}
	os.Exit(m.Run())
}

// view is `bottle supervise` on a desk of its own.
func view(what, files string) int {
	var err error
	if Kept() {
		desk := &writingDesk{world(), what, files}
		err = Run(context.Background(), desk, os.Stdin, os.Stdout, os.Environ())
	} else {
		err = Keep(exec.Command(os.Args[0]), os.Stdin, os.Stdout, filepath.Join(files, "crash"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	return 0
}

// writingDesk writes down what is applied, or dies when a proposal is opened.
type writingDesk struct {
	*fakeDesk
	what, files string
}

func (d *writingDesk) Show(ctx context.Context, slug, id string) (Detail, error) {
	switch d.what {
	case "panic":
		panic("a bug\x1b[2J in the view")
	case "fatal":
		var mu sync.Mutex
		mu.Unlock() // what no program can recover from
	}
	return d.fakeDesk.Show(ctx, slug, id)
}

func (d *writingDesk) Apply(ctx context.Context, a Act) (string, error) {
	told, err := d.fakeDesk.Apply(ctx, a)
	if err == nil {
		text, _ := json.Marshal(a)
		err = os.WriteFile(filepath.Join(d.files, "applied"), text, 0o600)
	}
	return told, err
}

// seat is a real terminal with the view on it.
type seat struct {
	t       *testing.T
	files   string
	command *exec.Cmd
	keys    *os.File // the terminal's own side
	program *os.File // the program's side, held open to ask for its modes
	vt      vt10x.Terminal
	before  *unix.Termios
	ended   chan error

	mu  sync.Mutex
	raw []byte
}

func takeSeat(t *testing.T, what string, size pty.Winsize, environ ...string) *seat {
	t.Helper()
	s := &seat{t: t, files: t.TempDir(), ended: make(chan error, 1)}
	var err error
	if s.keys, s.program, err = pty.Open(); err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(s.keys, &size); err != nil {
		t.Fatal(err)
	}
	s.before = s.modes()
	s.vt = vt10x.New(vt10x.WithSize(int(size.Cols), int(size.Rows)), vt10x.WithWriter(s.keys))
	// A shell stands between, as it does at a terminal.
	s.command = exec.Command("/bin/sh", "-c", `"$0"; echo "ended with $?"`, os.Args[0])
	s.command.Env = append(os.Environ(), viewVariable+"="+what, filesVariable+"="+s.files, "TERM=xterm", "NO_COLOR=", "GORACE=atexit_sleep_ms=0")
	s.command.Env = append(s.command.Env, environ...)
	s.command.Stdin, s.command.Stdout, s.command.Stderr = s.program, s.program, s.program
	s.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	go s.screenOn()
	go func() { s.ended <- s.command.Wait() }()
	t.Cleanup(func() {
		_ = syscall.Kill(-s.command.Process.Pid, syscall.SIGKILL)
		s.program.Close()
		s.keys.Close()
	})
	return s
}

// screenOn shows what the program writes.
func (s *seat) screenOn() {
	buf := make([]byte, 64<<10)
	for {
		n, err := s.keys.Read(buf)
		s.mu.Lock()
		s.raw = append(s.raw, buf[:n]...)
		s.mu.Unlock()
		_, _ = s.vt.Write(buf[:n])
		if err != nil {
			return
		}
	}
}

// firstScreen tells whether the terminal shows what it did before the view,
// with a cursor.
func (s *seat) firstScreen() bool {
	s.vt.Lock()
	defer s.vt.Unlock()
	return s.vt.Mode()&vt10x.ModeAltScreen == 0 && s.vt.Mode()&vt10x.ModeHide == 0
}

func (s *seat) modes() *unix.Termios {
	s.t.Helper()
	modes, err := unix.IoctlGetTermios(int(s.program.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return modes
}

func (s *seat) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.raw)
}

func (s *seat) typed(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.keys, text); err != nil {
		s.t.Fatal(err)
	}
}

// until waits for something to become true.
func (s *seat) until(what string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain for %s; the screen is\n%s", what, s.vt.String())
		}
	}
}

func (s *seat) sees(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		s.until(strconv.Quote(text), func() bool { return strings.Contains(s.vt.String(), text) })
	}
}

// again presses a key until the screen shows that it was taken: one typed
// before the screen was drawn does not count.
func (s *seat) again(key, sees string) {
	s.t.Helper()
	s.until(strconv.Quote(sees), func() bool {
		if strings.Contains(s.vt.String(), sees) {
			return true
		}
		s.typed(key)
		time.Sleep(100 * time.Millisecond)
		return strings.Contains(s.vt.String(), sees)
	})
}

// restored fails unless the terminal is as it was before.
func (s *seat) restored(code int) {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		s.t.Fatalf("did not end; the screen is\n%s", s.vt.String())
	}
	s.sees(fmt.Sprintf("ended with %d", code))
	if now := s.modes(); *now != *s.before {
		s.t.Errorf("the terminal's modes are %+v, were %+v", now, s.before)
	}
	if !s.firstScreen() {
		s.t.Error("the second screen is still shown, or the cursor hidden")
	}
	for _, mode := range []string{"2004", "1049", "25"} {
		on, off := strings.LastIndex(s.output(), "\x1b[?"+mode+"h"), strings.LastIndex(s.output(), "\x1b[?"+mode+"l")
		if shown := mode == "25"; (on > off) != shown {
			s.t.Errorf("mode %s is left as it was not", mode)
		}
	}
}

func (s *seat) applied() (a Act, any bool) {
	text, err := os.ReadFile(filepath.Join(s.files, "applied"))
	if errors.Is(err, os.ErrNotExist) {
		return Act{}, false
	}
	if err := errors.Join(err, json.Unmarshal(text, &a)); err != nil {
		s.t.Fatal(err)
	}
	return a, true
}

var (
	usual   = pty.Winsize{Cols: 80, Rows: 24}
	colours = regexp.MustCompile(`\x1b\[[0-9;:]*m`)
)

func TestAtARealTerminal(t *testing.T) {
	for name, c := range map[string]struct {
		size    pty.Winsize
		environ []string
		colours bool
	}{
		"usual":     {usual, nil, true},
		"small":     {pty.Winsize{Cols: 40, Rows: 12}, nil, true},
		"no colour": {usual, []string{"NO_COLOR=1"}, false},
		"dumb":      {usual, []string{"TERM=dumb"}, false},
		"over ssh":  {usual, []string{"SSH_TTY=/dev/pts/9", "SSH_CONNECTION=10.0.0.1 1 10.0.0.2 22", "TERM=screen"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := takeSeat(t, "work", c.size, c.environ...)
			s.sees("api.example.com", "example.net")
			s.typed("\raY") // ahead of the screen
			s.sees("asks for a route")
			if a, any := s.applied(); any {
				t.Fatalf("applied by keys typed ahead: %+v", a)
			}
			if c.size.Rows < 24 {
				s.typed("\x1b[6~") // page down
				s.sees("CHANGE OF THE LIVE POLICY")
				s.typed("\x1b[6~")
			}
			s.again("a", "APPROVE, until the bottle ends")
			s.until("the answer", func() bool {
				s.typed("Y")
				time.Sleep(100 * time.Millisecond)
				_, any := s.applied()
				return any
			})
			s.sees("in force: api.example.com")
			if a, _ := s.applied(); a.ID != "id0000" || a.Verdict != Approve || a.Slug != "dev-abc12" || a.Review != "review-dev-abc12-0" {
				t.Errorf("applied %+v", a)
			}
			s.typed("q")
			s.restored(0)
			if got := colours.MatchString(s.output()); got != c.colours {
				t.Errorf("colours: %v", got)
			}
		})
	}
}

// child is the one process that pid started.
func (s *seat) child(pid int) (child int) {
	s.t.Helper()
	s.until("a process", func() bool {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		for _, list := range lists {
			text, _ := os.ReadFile(list)
			if n, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
				child = n
			}
		}
		return child > 0
	})
	return child
}

func TestNoEndLeavesTheTerminalUnusable(t *testing.T) {
	keeper := func(s *seat) int { return s.child(s.command.Process.Pid) }
	child := func(s *seat) int { return s.child(keeper(s)) }
	for name, c := range map[string]struct {
		what  string
		end   func(*seat)
		code  int
		tells []string
	}{
		"a panic":              {"panic", func(s *seat) { s.typed("\r") }, 1, []string{"the view crashed: panic: a bug"}},
		"a fatal error":        {"fatal", func(s *seat) { s.typed("\r") }, 1, []string{"the view crashed: fatal error: sync: unlock"}},
		"kill -9":              {"work", func(s *seat) { _ = syscall.Kill(child(s), syscall.SIGKILL) }, 1, []string{"the view crashed: signal: killed"}},
		"kill of the view":     {"work", func(s *seat) { _ = syscall.Kill(child(s), syscall.SIGTERM) }, 0, nil},
		"kill":                 {"work", func(s *seat) { _ = syscall.Kill(keeper(s), syscall.SIGTERM) }, 0, nil},
		"hangup":               {"work", func(s *seat) { _ = syscall.Kill(keeper(s), syscall.SIGHUP) }, 0, nil},
		"ctrl+c":               {"work", func(s *seat) { s.typed("\x03") }, 0, nil},
		"q in the list":        {"work", func(s *seat) { s.typed("q") }, 0, nil},
		"ctrl+c in a proposal": {"work", func(s *seat) { s.typed("\r"); s.sees("asks for"); s.typed("\x03") }, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := takeSeat(t, c.what, usual)
			s.sees("api.example.com", "example.net")
			c.end(s)
			s.restored(c.code)
			report, err := os.ReadFile(filepath.Join(s.files, "crash"))
			if len(c.tells) == 0 {
				if !errors.Is(err, os.ErrNotExist) {
					t.Errorf("a report without a crash: %s, %v", report, err)
				}
				return
			}
			s.sees(c.tells...)
			if err != nil || c.what == "panic" && !strings.Contains(string(report), "writingDesk") {
				t.Errorf("the report is %q, %v", report, err)
			}
			if info, err := os.Stat(filepath.Join(s.files, "crash")); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the report is %v, %v", info, err)
			}
		})
	}
}

func TestTheViewEndsWithItsKeeper(t *testing.T) {
	s := takeSeat(t, "work", usual)
	s.sees("api.example.com", "example.net")
	if err := syscall.Kill(s.child(s.command.Process.Pid), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.until("the shell's word", func() bool { return strings.Contains(s.output(), "ended with 137") })
	s.until("the second screen to end", func() bool {
		return s.firstScreen() && *s.modes() == *s.before
	})
}
