//go:build linux

package namespace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// The workspace's own repository and its hooks, inside.
const (
	repository = "/workspace/.git"
	hooks      = repository + "/hooks"
)

// protectHooks makes the workspace's git hooks read-only, because tools run
// them outside too. The folder is made where it is missing, and the repository
// is pinned to its name so that no other can take its place. Where there is no
// repository nothing is done: an agent may make one, hooks and all.
func protectHooks() error {
	info, err := os.Lstat(repository)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	if err := remount(repository, 0); err != nil {
		return err
	}
	err = os.Mkdir(hooks, 0o755)
	switch {
	case err == nil, errors.Is(err, fs.ErrExist):
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		return nil // nor can the agent, who has the same rights
	default:
		return fmt.Errorf("make the folder of git hooks, to protect it: %w", err)
	}
	if info, err = os.Lstat(hooks); err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("the workspace's .git/hooks is not a folder and cannot be protected; remove it")
	}
	return remount(hooks, unix.MOUNT_ATTR_RDONLY)
}

// remount mounts a folder on itself, with restrictions.
func remount(path string, attributes uint64) error {
	file, err := openTree(path, attributes)
	if err != nil {
		return err
	}
	defer file.Close()
	return tree{path, file}.mountOn(path)
}
