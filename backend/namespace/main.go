//go:build linux

package namespace

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// The first argument of this program's lives inside a bottle.
const (
	setupArg    = "claude-bottle-init-setup"
	residentArg = "claude-bottle-init"
	trialArg    = "claude-bottle-trial"
)

// controlFD is where the init finds its socket.
const controlFD = 3

// Main must be the first call of a program that uses this backend, and of
// its tests' TestMain. In a bottle's init it does the init's work and does not
// return; otherwise it does nothing.
func Main() {
	if len(os.Args) == 0 {
		return
	}
	switch os.Args[0] {
	case setupArg:
		// Credentials belong to threads: everything up to the execve that makes
		// them the process's happens on this one.
		runtime.LockOSThread()
		exitOn(setup())
	case residentArg:
		// The signal that tells of the parent's death is asked for by a thread.
		runtime.LockOSThread()
		exitOn(resident())
	case trialArg:
		runtime.LockOSThread()
		exitOn(trial())
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		unix.Exit(1)
	}
	unix.Exit(0)
}
