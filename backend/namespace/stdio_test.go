//go:build linux

package namespace_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/backend"
)

func TestExitCodes(t *testing.T) {
	for script, want := range map[string]int{
		"exit 0": 0, "exit 7": 7, "exit 255": 255, "kill -KILL $$": 137, "kill -SEGV $$": 139, "kill -TERM $$": 143,
	} {
		if out, code := run(t, script); code != want {
			t.Errorf("%s: %d, want %d: %s", script, code, want, out)
		}
	}
}

func TestCommandMissing(t *testing.T) {
	for command, want := range map[string]int{"no-such-command": 127, "/no/such/file": 127, "/etc/passwd": 126, "/usr": 126} {
		home := newHome(t)
		p := newPlan(t, home, "missing", command)
		_, err := newBackend(t, home, "good").Start(t.Context(), p, backend.Stdio{}, nil)
		var failed *backend.CommandError
		if !errors.As(err, &failed) || failed.Code != want {
			t.Errorf("%s: %v, want code %d", command, err, want)
		}
		if list, err := newBackend(t, home, "good").List(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("%s left: %v %v", command, list, err)
		}
	}
}

// Bytes pass unchanged in both directions, ends included, in any amount, and
// the last of them are not lost when the command ends.
func TestPipes(t *testing.T) {
	sent := make([]byte, 3<<20)
	rand.Read(sent)
	home := newHome(t)
	var out, errs bytes.Buffer
	bottle := start(t, home, newPlan(t, home, "pipes", sh("tee /dev/stderr")...), backend.Stdio{In: bytes.NewReader(sent), Out: &out, Err: &errs})
	if code, err := bottle.Wait(t.Context()); code != 0 || err != nil {
		t.Fatal(code, err)
	}
	if !bytes.Equal(out.Bytes(), sent) || !bytes.Equal(errs.Bytes(), sent) {
		t.Errorf("sent %d bytes, got %d and %d, or others", len(sent), out.Len(), errs.Len())
	}
}

func TestOutputWithoutReader(t *testing.T) {
	home := newHome(t)
	bottle := start(t, home, newPlan(t, home, "discard", sh("head -c 1000000 /dev/zero; exit 4")...), backend.Stdio{})
	if code, err := bottle.Wait(t.Context()); code != 4 || err != nil {
		t.Fatal(code, err)
	}
}

// A terminal of its own: the size comes and changes, the keys come, all output
// comes, nothing of the operator's terminal is known.
func TestTerminal(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "terminal", sh(`tty; stty size; trap 'stty size; echo changed' WINCH; trap 'echo interrupted; head -c 1000000 /dev/zero | tr "\0" z; exit 9' INT
echo waiting; while :; do sleep 0.05; done`)...)
	operator, screen, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close()
	defer screen.Close()
	keys, typist, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer typist.Close()
	if err := pty.Setsize(screen, &pty.Winsize{Rows: 33, Cols: 101}); err != nil {
		t.Fatal(err)
	}
	sizes := make(chan backend.Size, 1)
	sizes <- sizeOf(t, screen)
	var out buffer
	bottle := start(t, home, p, backend.Stdio{In: keys, Out: &out, Terminal: true, Resize: sizes})
	eventually(t, "the command waits", func() bool { return strings.Contains(out.String(), "waiting") })
	if !strings.HasPrefix(out.String(), "/dev/pts/0\r\n33 101\r\n") {
		t.Errorf("began with %q", out.String())
	}
	if err := pty.Setsize(screen, &pty.Winsize{Rows: 44, Cols: 55}); err != nil {
		t.Fatal(err)
	}
	sizes <- sizeOf(t, screen)
	eventually(t, "the size changes", func() bool { return strings.Contains(out.String(), "44 55\r\nchanged") })
	fmt.Fprint(typist, "\x03")
	code, err := bottle.Wait(t.Context())
	if code != 9 || err != nil {
		t.Errorf("exit code %d %v", code, err)
	}
	if n := strings.Count(out.String(), "z"); !strings.Contains(out.String(), "interrupted") || n != 1000000 {
		t.Errorf("%d bytes of the last output came", n)
	}
}

func sizeOf(t *testing.T, file *os.File) backend.Size {
	t.Helper()
	rows, cols, err := pty.Getsize(file)
	if err != nil {
		t.Fatal(err)
	}
	return backend.Size{Rows: uint16(rows), Cols: uint16(cols)}
}

func TestSignals(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "signals", sh(`trap 'echo one' USR1; trap 'echo end; exit 6' TERM; echo ready; while :; do sleep 0.05; done`)...)
	signals := make(chan os.Signal)
	var out buffer
	bottle := start(t, home, p, backend.Stdio{Out: &out, Signals: signals})
	eventually(t, "the command runs", func() bool { return strings.Contains(out.String(), "ready") })
	signals <- unix.SIGUSR1
	eventually(t, "the signal arrives", func() bool { return strings.Contains(out.String(), "one") })
	signals <- unix.SIGTERM
	if code, err := bottle.Wait(t.Context()); code != 6 || err != nil {
		t.Errorf("exit code %d %v", code, err)
	}
}

// Exec works from the process that started the bottle and from any other.
func TestExec(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "exec", sh("echo running > /tmp/agent; echo ready; sleep 4242")...)
	var said buffer
	own := start(t, home, p, backend.Stdio{Out: &said})
	eventually(t, "the agent runs", func() bool { return said.String() == "ready\n" })
	other, err := newBackend(t, home, "good").Open(t.Context(), "exec")
	if err != nil {
		t.Fatal(err)
	}
	for name, bottle := range map[string]backend.Bottle{"own": own, "other": other} {
		sent := make([]byte, 1<<20)
		rand.Read(sent)
		var out, errs bytes.Buffer
		code, err := bottle.Exec(t.Context(), sh("cat /tmp/agent; pwd; id -u; echo err >&2; sha256sum; exit 11"),
			backend.Stdio{In: bytes.NewReader(sent), Out: &out, Err: &errs})
		sum := sha256.Sum256(sent)
		if want := "running\n/workspace\n1000\n" + hex.EncodeToString(sum[:]) + "  -\n"; out.String() != want || errs.String() != "err\n" {
			t.Errorf("%s: %q and %q, want %q", name, out.String(), errs.String(), want)
		}
		if code != 11 || err != nil {
			t.Errorf("%s: exit code %d %v", name, code, err)
		}

		var screen bytes.Buffer
		sizes := make(chan backend.Size, 1)
		sizes <- backend.Size{Rows: 12, Cols: 34}
		code, err = bottle.Exec(t.Context(), sh("stty size; kill -INT $$"), backend.Stdio{Out: &screen, Terminal: true, Resize: sizes})
		if screen.String() != "12 34\r\n" || code != 130 || err != nil {
			t.Errorf("%s: terminal: %q %d %v", name, screen.String(), code, err)
		}

		code, err = bottle.Exec(t.Context(), []string{"no-such-command"}, backend.Stdio{})
		var failed *backend.CommandError
		if code != 127 || !errors.As(err, &failed) {
			t.Errorf("%s: missing command: %d %v", name, code, err)
		}

		// What a command leaves running does not hold its end up for good.
		code, err = bottle.Exec(t.Context(), sh("sleep 4242 & exit 8"), backend.Stdio{Out: io.Discard})
		if code != 8 || err != nil {
			t.Errorf("%s: left behind: %d %v", name, code, err)
		}

		signals := make(chan os.Signal, 1)
		signals <- unix.SIGTERM
		if code, err = bottle.Exec(t.Context(), []string{"sleep", "4242"}, backend.Stdio{Signals: signals}); code != 143 || err != nil {
			t.Errorf("%s: signalled: %d %v", name, code, err)
		}
	}
}

func TestHealthSignalAndInputs(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "health", sh("sleep 4242")...)
	own := start(t, home, p, backend.Stdio{})
	other, err := newBackend(t, home, "good").Open(t.Context(), "health")
	if err != nil {
		t.Fatal(err)
	}
	for name, bottle := range map[string]backend.Bottle{"own": own, "other": other} {
		if body, err := bottle.Health(t.Context()); err != nil || !strings.Contains(string(body), `"ready":true`) {
			t.Errorf("%s: health: %s %v", name, body, err)
		}
		if err := bottle.WriteFile(t.Context(), "routes.yaml", []byte(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if content, err := bottle.ReadFile(t.Context(), "routes.yaml"); string(content) != name || err != nil {
			t.Errorf("%s: read %q %v", name, content, err)
		}
		for _, bad := range []string{"../plan", "/etc/passwd", ""} {
			if _, err := bottle.ReadFile(t.Context(), bad); err == nil {
				t.Errorf("%s: %q is read", name, bad)
			}
			if err := bottle.WriteFile(t.Context(), bad, nil); err == nil {
				t.Errorf("%s: %q is written", name, bad)
			}
		}
		_, before := readRun(t, p.State)
		if err := bottle.Signal(t.Context(), unix.SIGKILL); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		eventually(t, "the bundle is replaced", func() bool {
			_, now := readRun(t, p.State)
			_, err := bottle.Health(t.Context())
			return now != before && err == nil
		})
	}
}
