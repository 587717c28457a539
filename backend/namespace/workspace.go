//go:build linux

package namespace

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/state"
)

// checkWorkspace refuses a folder through which the agent would reach the
// bottles' own: their policy, their keys, their control sockets.
func checkWorkspace(workspace string, home state.Home) error {
	info, err := os.Stat(workspace)
	if err != nil {
		return fmt.Errorf("workspace: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("workspace %s is not a folder", workspace)
	}
	inside, err := within(string(home), workspace)
	if err != nil {
		return err
	}
	if inside {
		return fmt.Errorf("workspace %s contains %s, with which the agent could change its own rules; choose a folder beside it", workspace, home)
	}
	if inside, err = within(workspace, string(home)); err != nil {
		return err
	}
	if inside {
		return fmt.Errorf("workspace %s is part of %s, with which the agent could change its own rules; choose a folder beside it", workspace, home)
	}
	return nil
}

// within tells whether path is folder or below it, whatever they are called.
func within(path, folder string) (bool, error) {
	target, err := os.Stat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if path, err = filepath.EvalSymlinks(path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		path, err = filepath.Abs(path)
	}
	for err == nil {
		var info fs.FileInfo
		if info, err = os.Stat(path); err == nil && os.SameFile(info, target) {
			return true, nil
		}
		if path == "/" {
			break
		}
		path = filepath.Dir(path)
	}
	return false, err
}

// program is an executable; copy holds it when path leads there.
type program struct {
	path string
	copy *os.File
}

// bundleProgram is the bundle's program, out of the agent's reach: one that
// lies in the workspace is copied into memory, because a dead bundle is started
// again.
func bundleProgram(path, workspace string) (program, error) {
	inside, err := within(path, workspace)
	if err != nil || !inside {
		return program{path: path}, err
	}
	original, err := os.Open(path)
	if err != nil {
		return program{}, err
	}
	defer original.Close()
	fd, err := unix.MemfdCreate("sidecars", unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3 all are executable
		fd, err = unix.MemfdCreate("sidecars", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return program{}, fmt.Errorf("a copy of %s in memory: %w", path, err)
	}
	written := os.NewFile(uintptr(fd), path)
	defer written.Close()
	if _, err := io.Copy(written, original); err != nil {
		return program{}, fmt.Errorf("a copy of %s in memory: %w", path, err)
	}
	// A program that is open for writing cannot be executed; and the number
	// must be out of the way of those that the bundle gets.
	const outOfTheWay = 256
	reader, err := os.Open(fdPath(fd))
	if err != nil {
		return program{}, err
	}
	defer reader.Close()
	kept, err := unix.FcntlInt(reader.Fd(), unix.F_DUPFD_CLOEXEC, outOfTheWay)
	if err != nil {
		return program{}, err
	}
	return program{path: fdPath(kept), copy: os.NewFile(uintptr(kept), path)}, nil
}
