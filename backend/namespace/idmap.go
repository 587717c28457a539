//go:build linux

package namespace

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/internal/idmap"
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
	users, err := idmap.UserNamespace(self, idmap.Owner{UID: int(owner.Uid), GID: int(owner.Gid)}, idmap.Owner{UID: uid, GID: uid})
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
