package proposal

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The folder's layout.
const (
	proposalSuffix = ".proposal.json"
	decisionSuffix = ".decision.json"
	responseSuffix = ".response.json"
	archiveDir     = "archive"
	lockName       = ".lock"
	tempPrefix     = ".tmp-"
	maxFile        = 64 << 10
)

// folder is the queue's directory, whose content is somebody else's word. No
// path leaves it: os.Root sees to that whatever links lie in it.
type folder struct{ root *os.Root }

// openFolder opens dir, which must itself be no link.
func openFolder(dir string) (folder, error) {
	before, err := os.Lstat(dir)
	if err != nil {
		return folder{}, err
	}
	if !before.IsDir() {
		return folder{}, fmt.Errorf("%s is no folder", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return folder{}, err
	}
	if opened, err := root.Stat("."); err != nil || !os.SameFile(before, opened) {
		return folder{}, errors.Join(fmt.Errorf("%s was replaced while it was opened", dir), err, root.Close())
	}
	return folder{root}, nil
}

// read decodes one JSON file strictly: a regular file, no link, not too big.
func (f folder) read(name string, into any) error {
	info, err := f.root.Lstat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", name)
	}
	// Not to hang on a pipe that came between.
	file, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if opened, err := file.Stat(); err != nil || !os.SameFile(info, opened) {
		return errors.Join(fmt.Errorf("%s was replaced while it was read", name), err)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return err
	}
	if len(content) > maxFile {
		return fmt.Errorf("%s is larger than %d bytes", name, maxFile)
	}
	if err := decode(content, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// write puts v under name so that a reader sees all of it or nothing, now and
// after a crash. The caller holds the lock; an existing file is not replaced:
// the error is fs.ErrExist.
func (f folder) write(name string, v any) error {
	content, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if content, err = canonicalJSON(json.RawMessage(content)); err != nil {
		return err
	}
	if len(content) > maxFile {
		return fmt.Errorf("%s would be larger than %d bytes", name, maxFile)
	}
	temp := tempPrefix + rand.Text()
	file, err := f.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.root.Remove(temp) }()
	_, err = file.Write(append(content, '\n'))
	if err = errors.Join(err, f.give(file), file.Sync(), file.Close()); err != nil {
		return err
	}
	return f.move(temp, name)
}

// give makes a file that root wrote belong to the folder's owner, who has to
// read it.
func (f folder) give(file *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := f.root.Stat(".")
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	return file.Chown(int(owner.Uid), int(owner.Gid))
}

// move renames within the folder, for a caller that holds the lock. An existing
// file is not replaced: the error is fs.ErrExist.
func (f folder) move(from, to string) error {
	if f.has(to) {
		return fmt.Errorf("%s: %w", to, fs.ErrExist)
	}
	if err := f.root.Rename(from, to); err != nil {
		return err
	}
	if strings.HasPrefix(to, archiveDir+"/") {
		if err := f.sync(archiveDir); err != nil {
			return err
		}
	}
	return f.sync(".")
}

func (f folder) has(name string) bool {
	_, err := f.root.Lstat(name)
	return err == nil
}

func (f folder) sync(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// maxEntries of a folder are looked at; a fuller one is not the bundle's work.
const maxEntries = 100_000

// list returns the names in dir, sorted.
func (f folder) list(dir string) ([]string, error) {
	d, err := f.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(maxEntries)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(names) == maxEntries {
		return nil, fmt.Errorf("more than %d files in the queue", maxEntries)
	}
	slices.Sort(names)
	return names, nil
}

const lockWait = 5 * time.Second

// lock keeps other processes out while one adds, decides or expires. It is
// waited for only so long: the other side must not be able to hold us up.
func (f folder) lock() (unlock func(), err error) {
	file, err := f.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.give(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	for deadline := time.Now().Add(lockWait); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("the queue is locked by another process: %w", err), file.Close())
		}
	}
}
