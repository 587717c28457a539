package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// tail reads the lines of a chain, oldest first, and goes on where it stopped
// when there are more. Segments may be closed meanwhile. What it reads is
// hostile input: no link is followed, and no line is longer than maxLine.
type tail struct {
	path string

	file    *os.File // nil before the first line
	name    string   // of file when it was opened
	current bool     // file was the current segment when it was opened
	closed  int      // segments that were read to their end
	at      int64    // bytes of whole lines read of file
	line    int      // number of the last one

	buf []byte // the read-ahead
}

// lineFunc is given each line without its newline; whole is false for the last
// line of a segment that has none. The bytes are valid during the call.
type lineFunc func(file string, number int, line []byte, whole bool) error

func newTail(path string) *tail { return &tail{path: path} }

func (t *tail) close() {
	if t.file != nil {
		_ = t.file.Close()
	}
}

// next calls fn for each whole line that it did not see yet, until fn fails. A
// last line of the current segment that has no end yet is left for later, and
// returned. The chain may not exist: then the error matches os.ErrNotExist.
func (t *tail) next(fn lineFunc) (rest []byte, err error) {
	for {
		if t.file == nil {
			if err := t.open(); err != nil {
				if errors.Is(err, os.ErrNotExist) && t.closed > 0 {
					return nil, nil // a crash came between two segments
				}
				return nil, err
			}
		}
		if rest, err = t.lines(fn); err != nil {
			return nil, err
		}
		ended, err := t.ended()
		if err != nil || !ended {
			return rest, err
		}
		// What was written before the segment was closed.
		if rest, err = t.lines(fn); err != nil {
			return nil, err
		}
		if len(rest) > 0 {
			if err := fn(t.name, t.line+1, rest, false); err != nil {
				return nil, err
			}
		}
		_ = t.file.Close()
		t.file = nil
		t.closed++
	}
}

// open opens the next segment: the closed one with the next number, or else
// the current one.
func (t *tail) open() error {
	folder, name, err := openFolder(t.path)
	if err != nil {
		return err
	}
	defer folder.Close()
	// The current one first: it may be closed meanwhile.
	current, err := openAt(folder, name, unix.O_RDONLY)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	closed, closedErr := openAt(folder, segmentName(name, t.closed+1), unix.O_RDONLY)
	t.at, t.line = 0, 0
	switch {
	case closedErr == nil:
		if current != nil {
			_ = current.Close()
		}
		t.file, t.name, t.current = closed, segmentName(name, t.closed+1), false
		return nil
	case !errors.Is(closedErr, os.ErrNotExist):
		if current != nil {
			_ = current.Close()
		}
		return closedErr
	}
	numbers, listErr := segments(folder, name)
	if listErr == nil && len(numbers) > 0 && numbers[len(numbers)-1] > t.closed {
		missing := t.closed + 1
		for _, number := range numbers {
			if number == missing {
				missing++
			}
		}
		if missing <= numbers[len(numbers)-1] {
			listErr = &Break{File: segmentName(name, missing), Line: 1, Why: "is missing: the segment is not there"}
		}
	}
	switch {
	case listErr != nil || current == nil:
		if current != nil {
			_ = current.Close()
		}
		return errors.Join(listErr, err)
	}
	t.file, t.name, t.current = current, name, true
	return nil
}

// ended reports whether nothing will be added to the file any more.
func (t *tail) ended() (bool, error) {
	if !t.current {
		return true, nil
	}
	folder, name, err := openFolder(t.path)
	if err != nil {
		return false, err
	}
	defer folder.Close()
	closed, err := openAt(folder, segmentName(name, t.closed+1), unix.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer closed.Close()
	mine, err := t.file.Stat()
	if err != nil {
		return false, err
	}
	other, err := closed.Stat()
	if err != nil {
		return false, err
	}
	if !os.SameFile(mine, other) {
		return false, &Break{File: t.name, Line: t.line + 1, Why: "is missing: the segment was exchanged while it was read"}
	}
	t.name, t.current = segmentName(name, t.closed+1), false
	return true, nil
}

// lines reads the file from where it stopped to its present end.
func (t *tail) lines(fn lineFunc) (rest []byte, err error) {
	info, err := t.file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < t.at {
		return nil, &Break{File: t.name, Line: t.line, Why: "is missing: the file was cut while it was read"}
	}
	if t.buf == nil {
		t.buf = make([]byte, maxLine+1)
	}
	filled := 0
	for at := t.at; ; {
		n, err := t.file.ReadAt(t.buf[filled:], at+int64(filled))
		filled += n
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: %w", filepath.Base(t.file.Name()), err)
		}
		used := 0
		for {
			end := bytes.IndexByte(t.buf[used:filled], '\n')
			if end < 0 {
				break
			}
			line := t.buf[used : used+end]
			used += end + 1
			t.line++
			t.at = at + int64(used)
			if err := fn(t.name, t.line, line, true); err != nil {
				return nil, err
			}
		}
		at += int64(used)
		filled = copy(t.buf, t.buf[used:filled])
		if filled == len(t.buf) {
			return nil, &Break{File: t.name, Line: t.line + 1, Why: "is too long for an audit record"}
		}
		if n == 0 || errors.Is(err, io.EOF) {
			return t.buf[:filled], nil
		}
	}
}
