// Package commondir keeps a repository from being led to another one's
// configuration and hooks, as long as bottles live that may write to it.
package commondir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Name is the file with which a repository says that its configuration and
// hooks are those of another folder, see gitrepository-layout(5), below the
// workspace. One that names the repository itself changes nothing, and takes the
// place of one that the agent would make.
const (
	Name   = ".git/commondir"
	itself = ".\n"
)

// patience is how often a file that another bottle is about to remove is looked
// at again, with pause in between.
const (
	patience = 100
	pause    = 10 * time.Millisecond
)

// Hold makes sure that the workspace's repository has the file as long as the
// returned one is open. It is nil where there is no repository, and where the
// operator cannot write to it, as then the agent cannot either.
func Hold(workspace string) (*os.File, error) {
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if info, err := root.Lstat(".git"); err != nil || !info.IsDir() {
		return nil, nil // who protects its hooks refuses what cannot be
	}
	for range patience {
		file, err := ensure(root)
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
		time.Sleep(pause)
	}
	return nil, fmt.Errorf("protect the workspace's repository: another process holds %s; end it or remove the file", Name)
}

func ensure(root *os.Root) (*os.File, error) {
	file, err := root.OpenFile(Name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err == nil {
		if _, err = file.WriteString(itself); err != nil {
			file.Close()
			return nil, errors.Join(err, root.Remove(Name))
		}
		return file, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	info, err := root.Lstat(Name)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New(Name + " is not a file; remove it")
	}
	if err != nil {
		return nil, err
	}
	return root.Open(Name)
}

// isCurrent tells whether the file still has its name.
func isCurrent(root *os.Root, file *os.File) bool {
	mine, err := file.Stat()
	if err != nil {
		return false
	}
	now, err := root.Lstat(Name)
	return err == nil && os.SameFile(mine, now)
}

// Remove does what Release does where nobody holds the file any more. One that
// is not a file, or is not there, is left alone.
func Remove(workspace string) error {
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return err
	}
	defer root.Close()
	if info, err := root.Lstat(Name); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	file, err := root.Open(Name)
	if err != nil {
		return err
	}
	return Release(workspace, file)
}

// Release gives the file up and removes it, unless another bottle needs it or it
// says something of its own. A nil file is none.
func Release(workspace string, file *os.File) error {
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
	return root.Remove(Name)
}
