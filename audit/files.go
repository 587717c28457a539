package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// openFolder opens the folder of the chain at path, which must not be a
// symbolic link, and returns the name of the current segment in it.
func openFolder(path string) (folder *os.File, name string, err error) {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	dir = filepath.Clean(dir)
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, "", &os.PathError{Op: "open", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), dir), name, nil
}

// openAt opens a regular file in folder. It follows no symbolic link and does
// not wait for the other end of a pipe.
func openAt(folder *os.File, name string, flags int) (*os.File, error) {
	path := filepath.Join(folder.Name(), name)
	fd, err := unix.Openat(int(folder.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// segmentName is the name of a closed segment: bundle.jsonl, 1 →
// bundle-000001.jsonl.
func segmentName(name string, number int) string {
	ext := filepath.Ext(name)
	return fmt.Sprintf("%s-%06d%s", strings.TrimSuffix(name, ext), number, ext)
}

// segments lists the numbers of the closed segments of the chain called name
// in folder, oldest first.
func segments(folder *os.File, name string) ([]int, error) {
	// A new descriptor, because a folder is listed only once.
	fd, err := unix.Openat(int(folder.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: folder.Name(), Err: err}
	}
	listing := os.NewFile(uintptr(fd), folder.Name())
	defer listing.Close()
	names, err := listing.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	ext := filepath.Ext(name)
	prefix := strings.TrimSuffix(name, ext) + "-"
	var numbers []int
	for _, candidate := range names {
		middle, ok := strings.CutPrefix(candidate, prefix)
		if !ok {
			continue
		}
		middle, ok = strings.CutSuffix(middle, ext)
		if !ok {
			continue
		}
		number, err := strconv.Atoi(middle)
		if err == nil && number > 0 && segmentName(name, number) == candidate {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}
