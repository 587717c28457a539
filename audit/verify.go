package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Report is what Verify saw.
type Report struct {
	// Segments and Records count what was read and held.
	Segments int
	Records  uint64
	// Seq and Hash are the last good line's; Hash is 64 zeros when there is
	// none.
	Seq  uint64
	Hash string
	// Broken is the first broken line; nil = the chain is whole.
	Broken *Break
	// Anchors are the lines that name a head of another chain.
	Anchors []Anchor
}

// Break says where a chain is broken and why.
type Break struct {
	// File is the segment, Line counts from 1 in it.
	File string
	Line int
	// Seq is the number that the line should have; 0 = not known.
	Seq uint64
	// Why completes the sentence "line N …".
	Why string
	// Torn: a last line without end, as a crash leaves it and as one that is
	// just being written looks.
	Torn bool
}

// Error makes a Break usable as an error.
func (b *Break) Error() string {
	if b.Seq == 0 {
		return fmt.Sprintf("%s: line %d %s", b.File, b.Line, b.Why)
	}
	return fmt.Sprintf("%s: line %d (seq %d) %s", b.File, b.Line, b.Seq, b.Why)
}

// Verify reads every segment of the chain at path and checks hashes and order.
// The heads must be in it: they show a cut tail and a chain that was rewritten
// as a whole. The error is for a chain that cannot be read; what is wrong in
// it is in the Report.
func Verify(path string, heads ...Head) (Report, error) {
	report := Report{Hash: noHash}
	known := make(map[uint64][]Head, len(heads))
	last := Head{}
	for _, h := range heads {
		known[h.Seq] = append(known[h.Seq], h)
		if h.Seq > last.Seq {
			last = h
		}
	}
	var end Break
	file := ""
	err := lines(path, func(name string, number int, line []byte, whole bool) error {
		if name != file {
			file = name
			report.Segments++
		}
		end = Break{File: name, Line: number}
		broken := Break{File: name, Line: number, Seq: report.Seq + 1, Torn: !whole}
		var err error
		if broken.Why, err = check(path, &report, line, whole); err != nil {
			return err
		}
		for _, h := range known[report.Seq] {
			if broken.Why == "" && h.Hash != report.Hash {
				broken.Why = "was rewritten: " + h.by() + " names another line with this number"
			}
		}
		if broken.Why != "" {
			return &broken
		}
		report.Records++
		report.note(name, number, line)
		return nil
	})
	switch broken, ok := errors.AsType[*Break](err); {
	case ok:
		report.Broken = broken
		broken.Seq = report.Seq + 1
		if broken.Why != "" && report.Records < report.Seq {
			broken.Seq = report.Seq // the line fits the chain and no anchor
		}
	case err != nil:
		if len(heads) == 0 || last.Seq == 0 || !errors.Is(err, os.ErrNotExist) {
			return report, fmt.Errorf("audit: %w", err)
		}
		report.Broken = &Break{File: filepath.Base(path), Line: 1, Seq: 1, Why: fmt.Sprintf("is missing: the chain is gone, %s names seq %d of it", last.by(), last.Seq)}
	case report.Seq < last.Seq:
		end.Line++
		end.Seq = report.Seq + 1
		end.Why = fmt.Sprintf("is missing: the chain was cut after seq %d, %s names seq %d", report.Seq, last.by(), last.Seq)
		report.Broken = &end
	}
	return report, nil
}

// check compares one line with the chain so far and moves the report on; why
// is empty when it fits.
func check(path string, report *Report, line []byte, whole bool) (why string, err error) {
	if !whole {
		return "is torn: it has no end, as a crash or a cut leaves it", nil
	}
	entry, err := parse(line)
	if err != nil {
		return err.Error(), nil
	}
	want := report.Seq + 1
	switch {
	case entry.Seq < want:
		return fmt.Sprintf("is out of order: seq %d comes after seq %d", entry.Seq, report.Seq), nil
	case entry.Seq > want:
		moved, err := contains(path, want)
		if err != nil {
			return "", err
		}
		if moved {
			return fmt.Sprintf("is out of order: seq %d stands before seq %d", entry.Seq, want), nil
		}
		return fmt.Sprintf("follows a gap: seq %d to %d are missing", want, entry.Seq-1), nil
	case entry.Prev != report.Hash:
		return "does not continue the line before it: one of them was rewritten", nil
	}
	report.Seq, report.Hash = entry.Seq, entry.Hash
	return "", nil
}

// contains tells whether a good line with this seq is anywhere in the chain.
func contains(path string, seq uint64) (bool, error) {
	found := errors.New("found")
	err := lines(path, func(_ string, _ int, line []byte, _ bool) error {
		if entry, err := parse(line); err == nil && entry.Seq == seq {
			return found
		}
		return nil
	})
	if errors.Is(err, found) {
		return true, nil
	}
	return false, err
}

// Read calls fn for every line of the chain at path, oldest first, until it
// returns an error, which Read returns. The files are read as hostile input:
// links and devices are refused, and a line that is no record ends the
// reading with a *Break. Entries may still hold what an agent wrote: strip
// control characters before a terminal sees them.
func Read(path string, fn func(Entry) error) error {
	r := NewReader(path)
	defer r.Close()
	return r.Next(fn)
}

// Reader reads the entries of a chain and goes on where it stopped. It is not
// safe for concurrent use.
type Reader struct{ tail *tail }

// NewReader reads the chain at path from its beginning. The chain need not
// exist yet.
func NewReader(path string) *Reader { return &Reader{newTail(path)} }

// Next calls fn, as Read does, for every line that was written since it was
// called last. A chain that does not exist is an error that matches
// os.ErrNotExist; it may exist later.
func (r *Reader) Next(fn func(Entry) error) error {
	_, err := r.tail.next(func(file string, number int, line []byte, whole bool) error {
		if !whole {
			return nil // a crash cut it
		}
		entry, err := parse(line)
		if err != nil {
			return &Break{File: file, Line: number, Why: err.Error()}
		}
		return fn(entry)
	})
	return err
}

// Close lets go of the chain's files.
func (r *Reader) Close() { r.tail.close() }

// lines calls fn for every line of every segment.
func lines(path string, fn lineFunc) error {
	t := newTail(path)
	defer t.close()
	rest, err := t.next(fn)
	if err == nil && len(rest) > 0 {
		err = fn(t.name, t.line+1, rest, false)
	}
	return err
}
