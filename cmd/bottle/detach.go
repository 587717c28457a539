package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/state"
)

// A detached `bottle up` is this program again, in a session of its own. It
// finds two pipes: on one it tells how the start went, from the other it reads
// the answers that its parent asked for at the terminal.
const (
	detachedVariable = "CLAUDE_BOTTLE_DETACHED"
	startedFD        = 3
	answersFD        = 4
)

func isDetached() bool { return os.Getenv(detachedVariable) != "" }

// keepPipesHere keeps the pipes of a detached program from its children.
func keepPipesHere() {
	if isDetached() {
		syscall.CloseOnExec(startedFD)
		syscall.CloseOnExec(answersFD)
	}
}

// agentLog is where a detached bottle's agent prints to.
func agentLog(dir state.Dir) string { return filepath.Join(dir.Run(), "agent.log") }

// answers are what the operator typed, by question.
type answers map[string]string

// ask asks at the terminal and remembers.
func (a answers) ask(ctx context.Context, question string) (string, error) {
	answer, err := ask(ctx, question)
	if err == nil {
		a[question] = answer
	}
	return answer, err
}

// inherited are the answers that a detached program was given.
func inheritedAnswers() (answers, error) {
	pipe := os.NewFile(answersFD, "answers")
	defer pipe.Close()
	var a answers
	err := json.NewDecoder(pipe).Decode(&a)
	return a, err
}

func (a answers) find(_ context.Context, question string) (string, error) {
	answer, ok := a[question]
	if !ok {
		return "", errNotATerminal(question)
	}
	return answer, nil
}

// detach starts this program with args in the background and returns when its
// agent runs.
func detach(args []string, a answers) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	told, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer told.Close()
	given, give, err := os.Pipe()
	if err != nil {
		return err
	}
	defer give.Close()

	cmd := exec.Command(self, args...)
	cmd.ExtraFiles = []*os.File{tell, given}
	cmd.Env = append(os.Environ(), detachedVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	tell.Close()
	given.Close()
	if err != nil {
		return err
	}
	if err := json.NewEncoder(give).Encode(a); err != nil {
		return err
	}
	word, err := io.ReadAll(io.LimitReader(told, 64<<10))
	switch {
	case err != nil:
		return err
	case string(word) == "started":
		return cmd.Process.Release()
	case len(word) == 0:
		return errors.New("the program in the background ended without a word")
	}
	return errors.New(strings.TrimSpace(string(word)))
}

// tellStarted tells a waiting parent how the start went; without one it does
// nothing.
func tellStarted(err error) {
	if !isDetached() {
		return
	}
	pipe := os.NewFile(startedFD, "started")
	defer pipe.Close()
	if err != nil {
		fmt.Fprint(pipe, err)
		return
	}
	fmt.Fprint(pipe, "started")
}

// tellFailed is tellStarted for a start that failed; nil and a command's exit
// code are none.
func tellFailed(err error) {
	if _, ended := errors.AsType[exitCode](err); err != nil && !ended {
		tellStarted(err)
	}
}

// detachedSize is the terminal's of an agent that nobody is attached to.
var detachedSize = backend.Size{Rows: 24, Cols: 80}

// detachedConsole gives a command a terminal that nobody sits at, for `bottle
// attach` to join; what it prints is logged.
func detachedConsole() *console {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	sizes := make(chan backend.Size, 1)
	sizes <- detachedSize
	return &console{
		streams: backend.Stdio{Out: &lineEnds{to: os.Stdout}, Terminal: true, Resize: sizes, Signals: signals},
		raw:     func() error { return nil },
		restore: func() { signal.Stop(signals) },
	}
}

// lineEnds makes a terminal's line ends those of a file.
type lineEnds struct {
	to   io.Writer
	held bool // a carriage return that may belong to a line end
}

func (w *lineEnds) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p)+1)
	for _, c := range p {
		if w.held && c != '\n' {
			out = append(out, '\r')
		}
		if w.held = c == '\r'; !w.held {
			out = append(out, c)
		}
	}
	_, err := w.to.Write(out)
	return len(p), err
}

// logToFile makes the agent's log this process's output.
func logToFile(dir state.Dir) error {
	file, err := os.OpenFile(agentLog(dir), os.O_CREATE|os.O_WRONLY|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	os.Stdout, os.Stderr = file, file
	return nil
}
