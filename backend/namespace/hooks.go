//go:build linux

package namespace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/internal/commondir"
)

// The workspace's own repository, its hooks and its submodules, inside.
const (
	repository = "/workspace/.git"
	hooks      = repository + "/hooks"
	modules    = repository + "/modules"
)

// protectHooks makes the workspace's git hooks read-only, because tools run
// them outside too, and what would lead git to others. The folder is made where
// it is missing, and the repository is pinned to its name so that no other can
// take its place. Where there is no repository nothing is done: an agent may
// make one, hooks and all.
func protectHooks() error {
	info, err := os.Lstat(repository)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().IsRegular(): // it names the folder that is the repository
		return remount(repository, unix.MOUNT_ATTR_RDONLY)
	case !info.IsDir():
		return errors.New("the workspace's .git is a link and cannot be protected; put the repository itself there, or a file that names it (git init --separate-git-dir)")
	}
	if err := remount(repository, 0); err != nil {
		return err
	}
	err = remount("/workspace/"+commondir.Name, unix.MOUNT_ATTR_RDONLY)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // commondir.Hold made it where it can be made
		return err
	}
	if err := protectModules(); err != nil {
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

// protectModules makes the submodules' hooks read-only, where there are some,
// and pins the folders above them to their names.
func protectModules() error {
	var above, found []string
	err := filepath.WalkDir(modules, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrPermission):
			return fs.SkipDir // nor can the agent look there
		case err != nil || !entry.IsDir():
			return err
		}
		// A submodule's name may have slashes, so not every folder is a repository.
		if _, err := os.Lstat(filepath.Join(filepath.Dir(path), "HEAD")); err == nil && path != modules {
			switch entry.Name() {
			case "hooks":
				found = append(found, path)
				return fs.SkipDir
			case "modules":
			default:
				return fs.SkipDir
			}
		}
		above = append(above, path)
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("find the submodules' hooks, to protect them: %w", err)
	}
	if len(found) == 0 {
		return nil
	}
	for _, path := range above { // an outer folder comes before its inner ones
		if err := remount(path, 0); err != nil {
			return err
		}
	}
	for _, path := range found {
		if err := remount(path, unix.MOUNT_ATTR_RDONLY); err != nil {
			return err
		}
	}
	return nil
}

// remount mounts a file or folder on itself, with restrictions.
func remount(path string, attributes uint64) error {
	file, err := openTree(path, attributes)
	if err != nil {
		return err
	}
	defer file.Close()
	return tree{path, file}.mountOn(path)
}
