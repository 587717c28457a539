package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrHostile says that something in Out is not what the bundle puts there: a
// symbolic link, a device, a pipe, or more than there should be.
var ErrHostile = errors.New("refused to read")

// OpenOut opens a regular file below Out for reading. No component of name may
// be a symbolic link. The bundle may go on writing to the file.
func (d Dir) OpenOut(name string) (*os.File, error) {
	f, err := d.openOut(name, unix.O_NONBLOCK) // a pipe must not block
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w %s: it is no regular file", ErrHostile, f.Name())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ReadOut reads a file of at most limit bytes below Out, as OpenOut opens it.
func (d Dir) ReadOut(name string, limit int64) ([]byte, error) {
	f, err := d.OpenOut(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%w %s: it is larger than %d bytes", ErrHostile, f.Name(), limit)
	}
	if err != nil {
		return nil, err
	}
	return content, nil
}

// ListOut returns the names in a folder below Out, at most limit of them, in
// no order. More is an error.
func (d Dir) ListOut(name string, limit int) ([]string, error) {
	f, err := d.openOut(name, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(limit + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(names) > limit {
		return nil, fmt.Errorf("%w %s: it holds more than %d files", ErrHostile, f.Name(), limit)
	}
	return names, nil
}

// openOut walks from Out to name without following a link anywhere.
func (d Dir) openOut(name string, flags int) (*os.File, error) {
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("%w %q: not a path below %s", ErrHostile, name, d.Out())
	}
	const base = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	path := d.Out()
	dir, err := unix.Open(path, base|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, openError(path, err)
	}
	parts := strings.Split(filepath.ToSlash(filepath.Clean(name)), "/")
	for i, part := range parts {
		mode := base | unix.O_DIRECTORY
		if i == len(parts)-1 {
			mode = base | flags
		}
		path = filepath.Join(path, part)
		next, err := unix.Openat(dir, part, mode, 0)
		unix.Close(dir)
		if err != nil {
			return nil, openError(path, err)
		}
		dir = next
	}
	return os.NewFile(uintptr(dir), path), nil
}

func openError(path string, err error) error {
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("%w %s: a link, a socket, or a file where a folder belongs", ErrHostile, path)
	}
	return &os.PathError{Op: "open", Path: path, Err: err}
}
