//go:build linux

package namespace

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// commondir is the file with which a repository says that its configuration
// and hooks are those of another folder, see gitrepository-layout(5). One that
// names the repository itself changes nothing, and takes the place of one that
// the agent would make.
const (
	commondir = ".git/commondir"
	itself    = ".\n"
)

// commondirPatience is how often a file that another bottle is about to remove
// is looked at again, with commondirPause in between.
const (
	commondirPatience = 100
	commondirPause    = 10 * time.Millisecond
)

// holdCommondir makes sure that the workspace's repository has the file as long
// as the bottle lives. It is nil where there is no repository, and where the
// operator cannot write to it, as then the agent cannot either.
func holdCommondir(workspace string) (*os.File, error) {
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if info, err := root.Lstat(".git"); err != nil || !info.IsDir() {
		return nil, nil // protectHooks refuses what it cannot protect
	}
	for range commondirPatience {
		file, err := makeCommondir(root)
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("protect the workspace's repository: %w", err)
		}
		if unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil && isCurrent(root, file) {
			return file, nil
		}
		file.Close()
		time.Sleep(commondirPause)
	}
	return nil, fmt.Errorf("protect the workspace's repository: another process holds %s; end it or remove the file", commondir)
}

func makeCommondir(root *os.Root) (*os.File, error) {
	file, err := root.OpenFile(commondir, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err == nil {
		if _, err = file.WriteString(itself); err != nil {
			file.Close()
			return nil, errors.Join(err, root.Remove(commondir))
		}
		return file, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	info, err := root.Lstat(commondir)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New(commondir + " is not a file; remove it")
	}
	if err != nil {
		return nil, err
	}
	return root.Open(commondir)
}

// isCurrent tells whether the file still has its name.
func isCurrent(root *os.Root, file *os.File) bool {
	mine, err := file.Stat()
	if err != nil {
		return false
	}
	now, err := root.Lstat(commondir)
	return err == nil && os.SameFile(mine, now)
}

// releaseCommondir removes the file, unless another bottle needs it or it says
// something of its own.
func releaseCommondir(workspace string, file *os.File) error {
	if file == nil {
		return nil
	}
	defer file.Close()
	if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil
	}
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return err
	}
	defer root.Close()
	content, err := io.ReadAll(io.NewSectionReader(file, 0, int64(len(itself))+1))
	if err != nil || string(content) != itself || !isCurrent(root, file) {
		return err
	}
	return root.Remove(commondir)
}
