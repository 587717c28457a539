//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// gatePatience is how long the gate waits to be opened. A bottle whose
// `bottle up` died while it started ends by itself.
const gatePatience = 2 * time.Minute

// run is PID 1: it waits at the gate, starts the command, passes signals on to
// its process group, reaps, and returns the command's exit code, 128+signal when
// it was killed. The gate returns when the command may start, or 0 < code.
func run(argv []string, gate func(signals <-chan os.Signal) (code int)) int {
	// The agent is the same user and could read this process's memory.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "bottle-init:", err)
		return 126
	}
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	if code := gate(signals); code != 0 {
		return code
	}
	child, code, err := start(argv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bottle-init:", err)
		return code
	}
	for s := range signals {
		number, ok := s.(unix.Signal)
		switch {
		case !ok || number == unix.SIGURG || number == unix.SIGPIPE: // the runtime's own, and nobody's
		case number == unix.SIGCHLD:
			if code, ended := reap(child); ended {
				return code
			}
		default:
			_ = unix.Kill(-child, number)
		}
	}
	return 0
}

// turnedAway is the exit code when the gate was not opened.
const turnedAway = 128 + int(unix.SIGTERM)

// waitAtGate is the gate that `bottle up` opens, with SIGUSR1.
func waitAtGate(signals <-chan os.Signal) (code int) {
	patience := time.After(gatePatience)
	for {
		select {
		case s := <-signals:
			if s == unix.SIGUSR1 {
				return 0
			}
			if ends(s) {
				return turnedAway
			}
		case <-patience:
			return turnedAway
		}
	}
}

// ends tells whether a signal ends the waiting at a gate. It reaps commands
// that were run inside meanwhile.
func ends(s os.Signal) bool {
	switch s {
	case unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT:
		return true
	case unix.SIGCHLD:
		_, _ = reap(0)
	}
	return false
}

// start starts the command in a process group of its own, which is the
// terminal's foreground when there is one.
func start(argv []string) (pid, code int, err error) {
	env, err := environment()
	if err != nil {
		return 0, 126, err
	}
	path, code, err := find(argv[0], env)
	if err != nil {
		return 0, code, err
	}
	attributes := &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Env:   env,
		Sys:   &unix.SysProcAttr{Setpgid: true},
	}
	if term.IsTerminal(0) {
		attributes.Sys.Foreground, attributes.Sys.Ctty = true, 0
	}
	process, err := os.StartProcess(path, argv, attributes)
	if err != nil {
		return 0, exitOf(err), fmt.Errorf("start %s: %w", argv[0], err)
	}
	return process.Pid, 0, nil
}

// reap collects every process that has ended and tells whether the command was
// among them.
func reap(child int) (code int, ended bool) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return code, ended
		}
		if pid == child {
			ended, code = true, status.ExitStatus()
			if status.Signaled() {
				code = 128 + int(status.Signal())
			}
		}
	}
}

// runFurther runs a further command of the agent's and returns its exit code.
// The token, among its arguments, is how signalFurther finds it.
func runFurther(argv []string) int {
	// Caught, not ignored: what is ignored stays so in the command.
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGQUIT, unix.SIGHUP, unix.SIGTERM, unix.SIGTTOU)
	child, code, err := start(argv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bottle-init:", err)
		return code
	}
	for {
		var status unix.WaitStatus
		if _, err := unix.Wait4(child, &status, 0, nil); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			fmt.Fprintln(os.Stderr, "bottle-init:", err)
			return 126
		}
		if status.Signaled() {
			return 128 + int(status.Signal())
		}
		return status.ExitStatus()
	}
}

// find finds a command as a shell would, and returns the exit code that a shell
// would give when it cannot be run.
func find(name string, env []string) (path string, code int, err error) {
	os.Clearenv()
	for _, variable := range env {
		if value, ok := cutName(variable, "PATH"); ok {
			os.Setenv("PATH", value)
		}
	}
	path, err = exec.LookPath(name)
	if errors.Is(err, exec.ErrDot) {
		err = nil
	}
	if err != nil {
		return "", exitOf(err), err
	}
	return path, 0, nil
}

func exitOf(err error) int {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return 127
	}
	return 126
}
