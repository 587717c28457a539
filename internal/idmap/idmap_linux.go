// Package idmap shows the files of one owner as those of another (id-mapped
// mounts, mount_setattr(2)).
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

// Show says how a folder is shown.
type Show struct {
	// As is whose the files of the folder's owner appear to be; what it writes
	// becomes the owner's.
	As Owner
	// Root lets the host's root write there too, on behalf of somebody to whom
	// it then gives what it made. Otherwise root cannot, as nobody else can.
	Root bool
	// Program is any that can be executed.
	Program string
}

// Mount returns a detached mount of an open folder and of what is mounted below
// it. It needs the host's root.
func Mount(folder *os.File, show Show) (*os.File, error) {
	var owner unix.Stat_t
	if err := unix.Fstat(int(folder.Fd()), &owner); err != nil {
		return nil, &os.PathError{Op: "stat", Path: folder.Name(), Err: err}
	}
	pairs := []pair{{Owner{int(owner.Uid), int(owner.Gid)}, show.As}}
	if show.Root {
		pairs = append(pairs, pair{show.As, Owner{}})
	}
	users, err := userNamespace(show.Program, pairs)
	if err != nil {
		return nil, fmt.Errorf("map the owner of %s: %w", folder.Name(), err)
	}
	defer users.Close()
	tree, err := unix.OpenTree(int(folder.Fd()), "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", folder.Name(), err)
	}
	mounted := os.NewFile(uintptr(tree), folder.Name())
	err = unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{
		Attr_set:  unix.MOUNT_ATTR_IDMAP | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV,
		Userns_fd: uint64(users.Fd()),
	})
	if err != nil {
		mounted.Close()
		return nil, fmt.Errorf("%s: this filesystem, or one mounted below the folder, cannot be shown under another owner "+
			"(id-mapped mounts); run bottle as the folder's owner instead of root, or move it to ext4, xfs or btrfs: %w", folder.Name(), err)
	}
	return mounted, nil
}

// pair is who owns files on the disk and whose they appear to be.
type pair struct{ inner, outer Owner }

// helperName is the name under which the helper process is listed.
const helperName = "idmap"

// userNamespace returns a user namespace that maps inner ids to outer ones. The
// namespace comes from a process that is stopped before its first instruction
// and killed when the namespace is open, or when this one dies.
func userNamespace(program string, pairs []pair) (*os.File, error) {
	var uids, gids []syscall.SysProcIDMap
	for _, p := range pairs {
		uids = addID(uids, p.inner.UID, p.outer.UID)
		gids = addID(gids, p.inner.GID, p.outer.GID)
	}
	runtime.LockOSThread() // ptrace belongs to the thread
	defer runtime.UnlockOSThread()
	pid, err := syscall.ForkExec(program, []string{helperName}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{
		Ptrace: true, Pdeathsig: syscall.SIGKILL, Cloneflags: unix.CLONE_NEWUSER, UidMappings: uids, GidMappings: gids,
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

// addID adds to a mapping, in which each id is at most once on either side: the
// earlier one stays.
func addID(all []syscall.SysProcIDMap, inner, outer int) []syscall.SysProcIDMap {
	for _, id := range all {
		if id.ContainerID == inner || id.HostID == outer {
			return all
		}
	}
	return append(all, syscall.SysProcIDMap{ContainerID: inner, HostID: outer, Size: 1})
}
