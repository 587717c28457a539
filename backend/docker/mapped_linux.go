package docker

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/internal/idmap"
)

// showAs mounts folder at target so that the files of its owner appear as those
// of u, and what u writes becomes the owner's. With throughRoot, root writes for
// u there, as gVisor's keeper of files does. It needs the host's root.
func showAs(folder, target string, u user, throughRoot bool) error {
	fd, err := unix.Openat2(unix.AT_FDCWD, folder, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return &os.PathError{Op: "open", Path: folder, Err: err}
	}
	opened := os.NewFile(uintptr(fd), folder)
	defer opened.Close()
	tree, err := idmap.Mount(opened, idmap.Show{As: idmap.Owner{UID: u.uid, GID: u.gid}, Root: throughRoot, Program: "/proc/self/exe"})
	if err != nil {
		return err
	}
	defer tree.Close()
	if err := os.MkdirAll(target, 0o700); err != nil {
		return err
	}
	if err := unix.MoveMount(int(tree.Fd()), "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount %s on %s: %w", folder, target, err)
	}
	return nil
}

// unshow removes every mount at target, and the folder.
func unshow(target string) error {
	for {
		err := unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPERM) {
			break // nothing is mounted there
		}
		if err != nil {
			return &os.PathError{Op: "unmount", Path: target, Err: err}
		}
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// inMemory tells whether a folder's files never reach a disk.
func inMemory(folder string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(folder, &fs) == nil && (fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC)
}
