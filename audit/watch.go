package audit

import (
	"errors"
	"os"
)

// Watch follows a chain that another process writes, for its heads. What it
// reads is hostile input; it is not safe for concurrent use.
type Watch struct {
	tail *tail
	seq  uint64
	last []byte
}

// NewWatch watches the chain at path, from its beginning. The chain need not
// exist yet.
func NewWatch(path string) *Watch { return &Watch{tail: newTail(path)} }

// Poll reads what was added and returns the heads to remember, one for every
// 1,000 lines. A *Break says what is wrong with the chain: a line that is no
// record, or lines that were there and are no more. Most lines are only
// counted: Verify is what checks a chain.
func (w *Watch) Poll() ([]Head, error) {
	var heads []Head
	_, err := w.tail.next(func(file string, number int, line []byte, whole bool) error {
		w.seq++
		w.last = append(w.last[:0], line...)
		if w.seq%headInterval != 0 && whole {
			return nil
		}
		head, err := w.head()
		if err != nil || !whole {
			return &Break{File: file, Line: number, Seq: w.seq, Why: "is not what its place in the chain says"}
		}
		heads = append(heads, head)
		return nil
	})
	if errors.Is(err, os.ErrNotExist) && w.seq == 0 {
		err = nil
	}
	return heads, err
}

// Head is the newest line that Poll saw. Without any it is the zero Head with
// 64 zeros.
func (w *Watch) Head() (Head, error) {
	if w.seq == 0 {
		return Head{Hash: noHash}, nil
	}
	return w.head()
}

func (w *Watch) head() (Head, error) {
	entry, err := parse(w.last)
	if err == nil && entry.Seq != w.seq {
		err = errNoRecord
	}
	if err != nil {
		return Head{}, &Break{File: w.tail.name, Line: w.tail.line, Seq: w.seq, Why: err.Error()}
	}
	return Head{Seq: entry.Seq, Hash: entry.Hash}, nil
}

// Close lets go of the chain's files.
func (w *Watch) Close() { w.tail.close() }
