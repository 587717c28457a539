//go:build linux

package namespace

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// systemDirs are what the agent sees of the host's system. Those that are
// symbolic links on the host are links inside.
var systemDirs = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}

// staging is where the new root is put together, hidden from the host. Any
// folder that exists everywhere will do.
const staging = "/usr"

// tree is a detached copy of a part of the host's mounts.
type tree struct {
	target string // inside
	file   *os.File
}

// buildRoot makes a new root out of nothing and moves into it. What is not put
// there does not exist for the agent.
func buildRoot(to world, files []*os.File) error {
	// Mounts must neither come in from the host nor go out to it.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("detach from the host's mounts: %w", err)
	}
	trees, links, err := openSystem()
	if err != nil {
		return err
	}
	workspace, err := openWorkspace(to, files)
	if err != nil {
		return err
	}
	trees = append(trees, workspace)

	if err := mountTmpfs(staging, "mode=0755"); err != nil {
		return err
	}
	if err := os.Chdir(staging); err != nil {
		return err
	}
	for target, link := range links {
		if err := os.Symlink(link, inside(target)); err != nil {
			return err
		}
	}
	for _, t := range trees {
		if err := t.attach(); err != nil {
			return err
		}
	}
	size := ",size=" + strconv.FormatInt(to.TmpfsBytes, 10)
	if err := errors.Join(makeDev(size), makeProc(), makePrivate(size), makeEtc(to)); err != nil {
		return err
	}
	if err := writeFiles(to.Files); err != nil {
		return err
	}
	if err := enterRoot(); err != nil {
		return err
	}
	return protectHooks()
}

// inside is a path of the new root, as seen from the staging folder.
func inside(path string) string { return "." + path }

// openSystem opens the system's folders read-only, and reads the links.
func openSystem() (trees []tree, links map[string]string, err error) {
	links = make(map[string]string)
	for _, dir := range systemDirs {
		info, err := os.Lstat(dir)
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue
		case err != nil:
			return nil, nil, err
		case info.Mode().Type() == os.ModeSymlink:
			if links[dir], err = os.Readlink(dir); err != nil {
				return nil, nil, err
			}
		default:
			file, err := openTree(dir, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
			if err != nil {
				return nil, nil, err
			}
			trees = append(trees, tree{dir, file})
		}
	}
	return trees, links, nil
}

func openWorkspace(to world, files []*os.File) (tree, error) {
	if to.Workspace == "" {
		if len(files) != 1 {
			return tree{}, errors.New("the workspace's mount is missing")
		}
		return tree{"/workspace", files[0]}, nil
	}
	folder, err := openFolder(to.Workspace)
	if err != nil {
		return tree{}, err
	}
	defer folder.Close()
	file, err := cloneTree(int(folder.Fd()), "", &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV})
	if err != nil {
		return tree{}, fmt.Errorf("workspace %s: %w", to.Workspace, err)
	}
	return tree{"/workspace", file}, nil
}

// openFolder opens a folder whose path has no links left. One that has some
// after all was made by somebody who wants to be looked at another folder.
func openFolder(path string) (*os.File, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// openTree clones the mounts at and below path, with more restrictions.
func openTree(path string, attributes uint64) (*os.File, error) {
	file, err := cloneTree(unix.AT_FDCWD, path, &unix.MountAttr{Attr_set: attributes})
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", path, err)
	}
	return file, nil
}

// cloneTree clones the mounts at and below a path, or an open folder when the
// path is empty, and changes the copy. No link is followed at the path's end.
func cloneTree(dir int, path string, change *unix.MountAttr) (*os.File, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_RECURSIVE | unix.AT_SYMLINK_NOFOLLOW)
	if path == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	fd, err := unix.OpenTree(dir, path, flags)
	if err == nil {
		err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, change)
		if err == nil {
			return os.NewFile(uintptr(fd), path), nil
		}
		unix.Close(fd)
	}
	if errors.Is(err, unix.ENOSYS) {
		return nil, fmt.Errorf("this kernel is too old; the namespace backend needs Linux 5.12: %w", err)
	}
	return nil, err
}

// attach puts the tree at its place, and closes it.
func (t tree) attach() error {
	defer t.file.Close()
	if err := os.MkdirAll(inside(t.target), 0o755); err != nil {
		return err
	}
	return t.mountOn(inside(t.target))
}

func (t tree) mountOn(path string) error {
	err := unix.MoveMount(int(t.file.Fd()), "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("mount %s: %w", t.target, err)
	}
	return nil
}

func mountTmpfs(path, options string) error {
	if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount %s: %w", path, err)
	}
	return nil
}

// makePrivate makes the folders that belong to the agent alone, in memory.
func makePrivate(size string) error {
	for _, dir := range []string{"/home/agent", "/tmp", "/var/tmp", "/run"} {
		if err := os.MkdirAll(inside(dir), 0o755); err != nil {
			return err
		}
		mode := "mode=0755"
		if strings.HasSuffix(dir, "tmp") {
			mode = "mode=1777"
		}
		if err := mountTmpfs(inside(dir), mode+size); err != nil {
			return err
		}
	}
	for _, dir := range []string{"/var/lib", "/var/cache", "/var/log"} {
		if err := os.MkdirAll(inside(dir), 0o755); err != nil {
			return err
		}
	}
	return os.Symlink("/run", inside("/var/run"))
}

// enterRoot makes the staging folder the root, lets go of the old one, and
// makes the new one's own folders read-only.
func enterRoot() error {
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("enter the new root: %w", err)
	}
	// Both roots are at "/" now, the old one on top.
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	return restrict("/", unix.MOUNT_ATTR_RDONLY)
}

// restrict adds restrictions to the one mount at path.
func restrict(path string, attributes uint64) error {
	err := unix.MountSetattr(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, &unix.MountAttr{Attr_set: attributes})
	if err != nil {
		return fmt.Errorf("restrict %s: %w", path, err)
	}
	return nil
}
