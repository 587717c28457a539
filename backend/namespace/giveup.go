//go:build linux

package namespace

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// noCore is the RLIMIT_CORE with which the kernel neither writes a core dump nor
// pipes it to a handler; with 0 it would pipe it.
const noCore = 1

// becomeResident gives up everything that building the world needed, for good,
// and executes this program's second life. It returns only on failure.
func becomeResident() error {
	if _, err := unix.Setsid(); err != nil && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("start a session: %w", err)
	}
	// The operator's keys must not be found through an inherited keyring.
	// Kernels and containers without keyrings have nothing to find.
	_, _, errno := unix.RawSyscall(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0)
	if errno != 0 && errno != unix.ENOSYS && errno != unix.EPERM {
		return fmt.Errorf("start a session keyring: %w", errno)
	}
	// The host's handler of crashes would read what the agent made crash. Only
	// this value keeps it from being run, see the filter and core(5).
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: noCore, Max: noCore}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	if err := installFilter(); err != nil {
		return err
	}
	err := unix.Exec("/proc/self/exe", []string{residentArg}, nil)
	return fmt.Errorf("execute the init again; its program must be executable for everybody (chmod 755): %w", err)
}

// dropCapabilities empties every set of this thread, the bounding set too.
func dropCapabilities() error {
	for capability := uintptr(0); ; capability++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			break // past the last that this kernel knows
		}
		if err != nil {
			return fmt.Errorf("drop capability %d: %w", capability, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("drop ambient capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}
