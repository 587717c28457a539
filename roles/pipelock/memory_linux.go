package pipelock

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Where os/exec puts the first and the second of Cmd.ExtraFiles.
const (
	programFD = "/proc/self/fd/3"
	secretsFD = "/proc/self/fd/4"
)

// inMemory returns an empty file that no disk holds and that is gone with the
// last process that has it open.
func inMemory(name string, flags int) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|flags)
	if err == unix.EINVAL { // before Linux 6.3 every memfd is executable
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("memory for the child's %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// seal ends all changes of a file in memory and gives it its mode.
func seal(f *os.File, mode os.FileMode) error {
	if err := f.Chmod(mode); err != nil {
		return fmt.Errorf("mode of the child's %s: %w", f.Name(), err)
	}
	const all = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, all); err != nil {
		return fmt.Errorf("seal the child's %s: %w", f.Name(), err)
	}
	return nil
}

// secretsInMemory is what pipelock takes for its file of secrets. Whatever way
// we end, none of them is left on a disk.
func secretsInMemory(lines []string) (*os.File, error) {
	f, err := inMemory("secrets", unix.MFD_NOEXEC_SEAL)
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		if _, err := f.WriteString(line + "\n"); err != nil {
			f.Close()
			return nil, fmt.Errorf("memory for the child's secrets: %w", err)
		}
	}
	if err := seal(f, 0o600); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
