package tui

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"

	"github.com/claude-bottle/claude-bottle/proposal"
)

// keptVariable tells a process that Keep started it, with the lifeline as file
// descriptor lifelineFD.
const (
	keptVariable = "CLAUDE_BOTTLE_SUPERVISE_KEPT"
	lifelineFD   = 3
)

// Kept tells whether this process was started by Keep, and must call Run.
func Kept() bool { return os.Getenv(keptVariable) != "" }

// maxStderr is how much of a dying view's last words is kept.
const maxStderr = 256 << 10

// crashCode is Go's exit code after a panic.
const crashCode = 2

// Keep runs command, whose process shows the view on the terminal at in and out, and
// waits for it. However that process ends, the terminal is as before when Keep
// returns. What a panic or a kill left is written to crashFile and told in the
// error, a *CrashError. Any other exit code is the *exec.ExitError, after the
// command's own words on stderr.
func Keep(command *exec.Cmd, in, out *os.File, crashFile string) error {
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("the terminal: %w", err)
	}
	line, holds, err := os.Pipe()
	if err != nil {
		return err
	}
	defer holds.Close() // the view quits when this process is gone
	last := &lastWords{}
	command.Stdin, command.Stdout, command.Stderr = in, out, last
	command.Env = append(command.Environ(), keptVariable+"=1")
	command.ExtraFiles = []*os.File{line}

	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	err = command.Start()
	if err = errors.Join(err, line.Close()); err != nil {
		return err
	}
	ended := make(chan struct{})
	go pass(signals, command.Process, ended)
	err = command.Wait()
	close(ended)

	var exit *exec.ExitError
	if errors.As(err, &exit) && (!exit.Exited() || exit.ExitCode() == crashCode) {
		giveBack(in, out, before)
		return crashed(exit, last.Bytes(), crashFile)
	}
	_, _ = os.Stderr.Write(last.Bytes())
	return err
}

// pass hands signals on that were meant for the view. The terminal sends its
// own to both.
func pass(signals <-chan os.Signal, to *os.Process, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case s := <-signals:
			if s == syscall.SIGTERM || s == syscall.SIGHUP {
				_ = to.Signal(s)
			}
		}
	}
}

// giveBack takes back what a view may have done to the terminal.
func giveBack(in, out *os.File, before *term.State) {
	_ = term.Restore(int(in.Fd()), before)
	_, _ = io.WriteString(out, ansi.ResetModeSynchronizedOutput+ansi.PopKittyKeyboard(1)+ansi.ResetModifyOtherKeys+
		ansi.ResetModeBracketedPaste+ansi.ResetModeUnicodeCore+ansi.ResetStyle+
		ansi.ResetModeAltScreenSaveCursor+ansi.SetModeTextCursorEnable)
}

// CrashError says that the view ended in a way it never should.
type CrashError struct {
	// Reason is its first line, fit to be shown.
	Reason string
	// File holds all there is to know; "" when it could not be written.
	File string
	// Err is why not.
	Err error
}

func (e *CrashError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("the view crashed: %s (and its report could not be written: %v)", e.Reason, e.Err)
	}
	return fmt.Sprintf("the view crashed: %s (see %s)", e.Reason, e.File)
}

func (e *CrashError) Unwrap() error { return e.Err }

func crashed(exit *exec.ExitError, stderr []byte, file string) error {
	reason := exit.String()
	for text := range strings.Lines(string(stderr)) {
		if strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ") {
			reason = text
			break
		}
	}
	e := &CrashError{Reason: proposal.Clean(reason, 300), File: file}
	report := fmt.Appendf(nil, "%s\n%s\n\n%s", time.Now().UTC().Format(time.RFC3339), exit, stderr)
	if e.Err = os.WriteFile(file, report, 0o600); e.Err != nil {
		e.File = ""
	}
	return e
}

// lastWords keeps the beginning of what is written to it: a panic's reason
// comes first.
type lastWords struct{ bytes.Buffer }

func (l *lastWords) Write(p []byte) (int, error) {
	room := min(len(p), max(0, maxStderr-l.Len()))
	_, _ = l.Buffer.Write(p[:room])
	return len(p), nil
}

// lifeline is closed when the process that keeps this one is gone; never when
// there is none.
func lifeline() <-chan struct{} {
	gone := make(chan struct{})
	if !Kept() {
		return gone
	}
	_ = os.Unsetenv(keptVariable) // for the programs that this one starts
	syscall.CloseOnExec(lifelineFD)
	line := os.NewFile(lifelineFD, "lifeline")
	go func() {
		_, _ = line.Read(make([]byte, 1))
		close(gone)
	}()
	return gone
}
