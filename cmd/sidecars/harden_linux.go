package main

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// harden keeps this process's secrets to itself: no core file, no reading of
// its memory and environment by its user's other processes, no file or socket
// for others, no inherited descriptor for children.
func harden() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core files: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("make the process non-dumpable: %w", err)
	}
	unix.Umask(0o077)
	// Kernels before 5.11 do not know this; the listeners handed over are
	// also marked one by one.
	_ = unix.CloseRange(firstInherited, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	return nil
}
