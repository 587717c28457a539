//go:build linux

package namespace

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// mapWorkspace returns a detached mount of a folder in which the files of its
// owner appear as those of uid, and what uid writes becomes the owner's. It
// needs the host's root.
func mapWorkspace(path, self string, uid int) (*os.File, error) {
	folder, err := openFolder(path)
	if err != nil {
		return nil, fmt.Errorf("workspace: %w", err)
	}
	defer folder.Close()
	var owner unix.Stat_t
	if err := unix.Fstat(int(folder.Fd()), &owner); err != nil {
		return nil, fmt.Errorf("workspace %s: %w", path, err)
	}
	users, err := userNamespace(self, int(owner.Uid), int(owner.Gid), uid)
	if err != nil {
		return nil, fmt.Errorf("map the owner of the workspace: %w", err)
	}
	defer users.Close()
	mount, err := cloneTree(int(folder.Fd()), "", &unix.MountAttr{
		Attr_set:  unix.MOUNT_ATTR_IDMAP | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV,
		Userns_fd: uint64(users.Fd()),
	})
	if err != nil {
		return nil, fmt.Errorf("workspace %s: this filesystem, or one mounted below the folder, cannot be shown under another owner "+
			"(id-mapped mounts); run bottle as the folder's owner instead of root, or move it to ext4, xfs or btrfs: %w", path, err)
	}
	return mount, nil
}

// userNamespace makes a user namespace that maps inner ids to one outer id. It
// lives in a process that is stopped before its first instruction and killed
// when the namespace is open.
func userNamespace(self string, innerUID, innerGID, outer int) (*os.File, error) {
	runtime.LockOSThread() // ptrace belongs to the thread
	defer runtime.UnlockOSThread()
	pid, err := syscall.ForkExec(self, []string{trialArg}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{
		Ptrace:      true,
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: innerUID, HostID: outer, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: innerGID, HostID: outer, Size: 1}},
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
