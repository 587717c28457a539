//go:build linux

package namespace

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// fork starts a command in a session of its own. It must be called on the
// thread that is locked, with nobody else waiting for children.
func fork(path string, c command, files []uintptr) (pid int, err error) {
	attributes := &syscall.SysProcAttr{Setsid: true, Setctty: c.Terminal, Ctty: 0}
	limits := map[int]int64{unix.RLIMIT_NPROC: c.Limits.Pids, unix.RLIMIT_DATA: c.Limits.MemoryBytes}
	limited := c.Limits.Pids > 0 || c.Limits.MemoryBytes > 0
	// A traced child stops before its first instruction, so that it has no
	// moment without its limits. The init itself must not have them.
	attributes.Ptrace = limited
	pid, err = syscall.ForkExec(path, c.Argv, &syscall.ProcAttr{Dir: c.Dir, Env: c.Env, Files: files, Sys: attributes})
	if err != nil || !limited {
		return pid, err
	}
	if _, err = unix.Wait4(pid, nil, 0, nil); err == nil {
		for resource, most := range limits {
			if most > 0 && err == nil {
				err = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: uint64(most), Max: uint64(most)}, nil)
			}
		}
	}
	if err == nil {
		err = unix.PtraceDetach(pid)
	}
	if err != nil {
		_ = unix.Kill(pid, unix.SIGKILL)
		return 0, fmt.Errorf("limit the command: %w", err)
	}
	return pid, nil
}
