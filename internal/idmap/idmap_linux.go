// Package idmap makes user namespaces that show the files of one owner as those
// of another (id-mapped mounts, mount_setattr(2)).
package idmap

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Owner is a user and a group.
type Owner struct{ UID, GID int }

// UserNamespace returns a user namespace that maps inner's ids to outer's. It
// needs the right to map outer's. program is any program that can be executed:
// the namespace comes from a process that is stopped before its first
// instruction and killed when the namespace is open.
func UserNamespace(program string, inner, outer Owner) (*os.File, error) {
	runtime.LockOSThread() // ptrace belongs to the thread
	defer runtime.UnlockOSThread()
	pid, err := syscall.ForkExec(program, []string{"idmap"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{
		Ptrace:      true,
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: inner.UID, HostID: outer.UID, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: inner.GID, HostID: outer.GID, Size: 1}},
	}})
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = unix.Wait4(pid, nil, 0, nil)
	}()
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		return nil, err
	}
	if !status.Stopped() {
		return nil, errors.New("the helper process did not stop")
	}
	return os.Open(fmt.Sprintf("/proc/%d/ns/user", pid))
}
