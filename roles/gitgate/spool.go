package gitgate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
)

// spool holds pushes on disk while they are judged.
type spool struct {
	dir       string // empty = the system's folder for temporary files
	most      int64  // bytes of one push
	mostInAll int64  // bytes of all pushes at a time
	held      atomic.Int64
}

// errFull says that a push does not fit.
var errFull = errors.New("the push is too large")

// spooled is one push on disk. Nobody else can open its file: it is private
// and has no name any more.
type spooled struct {
	file  *os.File // not embedded: its ReadFrom would pass Write's limits by
	spool *spool
	size  int64
}

func (s *spool) create() (*spooled, error) {
	f, err := os.CreateTemp(s.dir, "push-") // 0600
	if err != nil {
		return nil, fmt.Errorf("no file can be made for the push: %w", withoutPath(err))
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("the push's file cannot be hidden: %w", withoutPath(err))
	}
	return &spooled{file: f, spool: s}, nil
}

// Write appends to the push.
func (s *spooled) Write(b []byte) (int, error) {
	size := int64(len(b))
	if s.size+size > s.spool.most {
		return 0, fmt.Errorf("%w: at most %d bytes are taken", errFull, s.spool.most)
	}
	if s.spool.held.Add(size) > s.spool.mostInAll {
		s.spool.held.Add(-size)
		return 0, fmt.Errorf("%w beside the others under way: try again later", errFull)
	}
	s.size += size
	n, err := s.file.Write(b)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		err = fmt.Errorf("%w: no space is left for it", errFull)
	}
	return n, withoutPath(err)
}

// section is the bytes from offset to the end.
func (s *spooled) section(offset int64) *io.SectionReader {
	return io.NewSectionReader(s.file, offset, s.size-offset)
}

// Close frees the space.
func (s *spooled) Close() error {
	s.spool.held.Add(-s.size)
	s.size = 0
	return s.file.Close()
}

// withoutPath takes this machine's paths out of an error that the agent reads.
func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*os.PathError](err); ok {
		return pathError.Err
	}
	return err
}
