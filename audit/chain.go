package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// chain is the files of one log, open for writing. Its methods need the log's
// commit lock, except sync.
type chain struct {
	folder *os.File
	name   string // of the current segment
	limit  int64

	file   *os.File // nil after a rotation that could not finish
	size   int64    // bytes of whole lines in file
	torn   bool     // file may be longer than size
	dirty  bool     // file has lines that are not synced
	closed int      // number of the newest closed segment
	seq    uint64
	prev   string
	buf    []byte

	retired []*os.File // closed segments that are not synced
	unsafe  atomic.Pointer[error]
}

// acquire takes the writer's lock of the chain at path; the lock ends with the
// returned file. It lies in a file of its own because segments are renamed.
func acquire(path string, wait time.Duration) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	folder, name, err := openFolder(path)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	lock, err := openAt(folder, "."+name+".lock", unix.O_RDWR|unix.O_CREAT)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(wait); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return lock, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = lock.Close()
			return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
		}
		if time.Now().After(end) {
			_ = lock.Close()
			return nil, fmt.Errorf("%s is being written by another process; stop it first", path)
		}
	}
}

func openChain(path string, limit int64) (*chain, error) {
	folder, name, err := openFolder(path)
	if err != nil {
		return nil, err
	}
	c := &chain{folder: folder, name: name, limit: limit, prev: noHash}
	if err := c.resume(); err != nil {
		_ = folder.Close()
		return nil, err
	}
	return c, nil
}

// resume opens the current segment and finds the end of the chain.
func (c *chain) resume() error {
	numbers, err := segments(c.folder, c.name)
	if err != nil {
		return err
	}
	if len(numbers) > 0 {
		c.closed = numbers[len(numbers)-1]
	}
	if err := c.openCurrent(); err != nil {
		return err
	}
	whole, last, err := lastLine(c.file)
	if err != nil {
		return fmt.Errorf("%s: %w", c.file.Name(), err)
	}
	if err := c.file.Truncate(whole); err != nil {
		return fmt.Errorf("cut the torn last line of %s: %w", c.file.Name(), err)
	}
	c.size = whole
	if whole == 0 && c.closed > 0 {
		closed, err := openAt(c.folder, segmentName(c.name, c.closed), unix.O_RDONLY)
		if err != nil {
			return err
		}
		defer closed.Close()
		if _, last, err = lastLine(closed); err != nil {
			return fmt.Errorf("%s: %w", closed.Name(), err)
		}
	}
	if last == nil {
		return nil
	}
	entry, err := parse(last)
	if err != nil {
		return fmt.Errorf("%s: the last line %w; verify the chain and move it aside before a new one can begin", c.file.Name(), err)
	}
	c.seq, c.prev = entry.Seq, entry.Hash
	return nil
}

func (c *chain) openCurrent() (err error) {
	c.file, err = openAt(c.folder, c.name, unix.O_RDWR|unix.O_CREAT|unix.O_APPEND)
	if err != nil {
		return err
	}
	c.size, c.torn = 0, false
	return nil
}

// write chains the records and puts them into the file with one write. Either
// all of them are kept or none.
func (c *chain) write(records [][]byte, now time.Time) error {
	if err := c.unsafe.Load(); err != nil {
		return *err
	}
	if err := c.prepare(); err != nil {
		return err
	}
	seq, prev := c.seq, c.prev
	c.buf = c.buf[:0]
	for _, body := range records {
		seq++
		c.buf, prev = appendLine(c.buf, seq, now, body, prev)
	}
	if _, err := c.file.Write(c.buf); err != nil {
		c.torn = c.file.Truncate(c.size) != nil
		return err
	}
	c.size += int64(len(c.buf))
	c.seq, c.prev, c.dirty = seq, prev, true
	return nil
}

// prepare heals what an earlier failure left and rotates a full segment.
func (c *chain) prepare() error {
	if c.file != nil && c.torn {
		if err := c.file.Truncate(c.size); err != nil {
			return fmt.Errorf("remove a torn line: %w", err)
		}
		c.torn = false
	}
	if c.file != nil && c.size >= c.limit {
		next := segmentName(c.name, c.closed+1)
		at := int(c.folder.Fd())
		if err := unix.Renameat(at, c.name, at, next); err != nil {
			return fmt.Errorf("close segment %s: %w", next, err)
		}
		c.retired = append(c.retired, c.file)
		c.file = nil
		c.closed++
	}
	if c.file == nil {
		return c.openCurrent()
	}
	return nil
}

// unsynced hands out the files that sync must see.
func (c *chain) unsynced() []*os.File {
	files := c.retired
	c.retired = nil
	if c.dirty && c.file != nil {
		files = append(files, c.file)
		c.dirty = false
	}
	return files
}

// sync brings files to disk. While that fails nothing more is accepted.
func (c *chain) sync(files []*os.File) {
	var failed error
	for _, f := range files {
		if err := f.Sync(); err != nil && !errors.Is(err, os.ErrClosed) {
			failed = fmt.Errorf("sync %s: %w", f.Name(), err)
		}
	}
	switch {
	case failed != nil:
		c.unsafe.Store(&failed)
	case len(files) > 0 || c.unsafe.Load() != nil && c.folder.Sync() == nil:
		c.unsafe.Store(nil)
	}
}

func (c *chain) close() error {
	files := c.unsynced()
	if c.file != nil && len(files) == 0 {
		files = append(files, c.file)
	}
	c.sync(files)
	errs := []error{c.folder.Sync(), c.folder.Close()}
	if err := c.unsafe.Load(); err != nil {
		errs = append(errs, *err)
	}
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	c.unsafe.Store(&ErrClosed)
	return errors.Join(errs...)
}

// lastLine returns the size of f's whole lines and the last of them without
// its newline, nil if there is none.
func lastLine(f *os.File) (whole int64, line []byte, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, nil, err
	}
	// The torn tail and the last line are each shorter than maxLine.
	tail := make([]byte, min(size, 2*maxLine))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return 0, nil, err
	}
	text := string(tail)
	end := strings.LastIndexByte(text, '\n')
	if end < 0 {
		if size > maxLine {
			return 0, nil, errors.New("no line ends where the last one should")
		}
		return 0, nil, nil
	}
	begin := strings.LastIndexByte(text[:end], '\n') + 1
	return size - int64(len(tail)) + int64(end) + 1, tail[begin:end], nil
}
