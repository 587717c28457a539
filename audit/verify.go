package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
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
}

// Break says where a chain is broken and why.
type Break struct {
	// File is the segment, Line counts from 1 in it.
	File string
	Line int
	// Why completes the sentence "line N …".
	Why string
}

// Error makes a Break usable as an error.
func (b *Break) Error() string { return fmt.Sprintf("%s: line %d %s", b.File, b.Line, b.Why) }

// Head is a line that was remembered outside of the chain (Options.OnHead).
type Head struct {
	Seq  uint64
	Hash string
}

// Verify reads every segment of the chain at path and checks hashes and order.
// The heads must be in it: they show a cut tail and a chain that was rewritten
// as a whole. The error is for a chain that cannot be read; what is wrong in
// it is in the Report.
func Verify(path string, heads ...Head) (Report, error) {
	report := Report{Hash: strings.Repeat("0", hashLen)}
	known := make(map[uint64]string, len(heads))
	last := uint64(0)
	for _, h := range heads {
		known[h.Seq] = h.Hash
		last = max(last, h.Seq)
	}
	var end Break
	err := lines(path, func(file string, number int, line []byte, whole bool) error {
		if number == 1 {
			report.Segments++
		}
		end = Break{File: file, Line: number}
		why, err := check(path, &report, line, whole)
		if err != nil {
			return err
		}
		if want, ok := known[report.Seq]; why == "" && ok && want != report.Hash {
			why = "was rewritten: it is not the line that was anchored"
		}
		if why != "" {
			return &Break{File: file, Line: number, Why: why}
		}
		report.Records++
		return nil
	})
	if broken, ok := errors.AsType[*Break](err); ok {
		report.Broken = broken
		return report, nil
	}
	if err == nil && report.Seq < last {
		end.Line++
		end.Why = fmt.Sprintf("is missing: the chain was cut after seq %d, an anchor names seq %d", report.Seq, last)
		report.Broken = &end
	}
	if err != nil {
		return report, fmt.Errorf("audit: %w", err)
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
	return lines(path, func(file string, number int, line []byte, whole bool) error {
		if !whole {
			return nil // the writer may be at it just now
		}
		entry, err := parse(line)
		if err != nil {
			return &Break{File: file, Line: number, Why: err.Error()}
		}
		return fn(entry)
	})
}

// lineFunc is given each line without its newline; whole is false for a last
// line that has none.
type lineFunc func(file string, number int, line []byte, whole bool) error

// lines calls fn for every line of every segment.
func lines(path string, fn lineFunc) error {
	folder, name, err := openFolder(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	// The current segment is opened before the closed ones are listed, so that
	// one that is being closed meanwhile is not overlooked.
	current, err := openAt(folder, name, unix.O_RDONLY)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if current != nil {
		defer current.Close()
	}
	numbers, listErr := segments(folder, name)
	if listErr != nil {
		return listErr
	}
	if current == nil && len(numbers) == 0 {
		return err
	}
	for i, number := range numbers {
		if number != i+1 {
			return &Break{File: segmentName(name, i+1), Line: 1, Why: "is missing: the segment is not there"}
		}
		last, err := closedLines(folder, segmentName(name, number), current, fn)
		if err != nil || last {
			return err
		}
	}
	if current == nil {
		return nil // a crash came between closing one segment and beginning the next
	}
	return linesOf(current, name, fn)
}

// closedLines reads one closed segment and tells whether it is the file that
// was the current one when reading began.
func closedLines(folder *os.File, name string, current *os.File, fn lineFunc) (last bool, err error) {
	f, err := openAt(folder, name, unix.O_RDONLY)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if current != nil {
		mine, err := f.Stat()
		if err != nil {
			return false, err
		}
		other, err := current.Stat()
		if err != nil {
			return false, err
		}
		last = os.SameFile(mine, other)
	}
	return last, linesOf(f, name, fn)
}

func linesOf(f *os.File, name string, fn lineFunc) error {
	reader := bufio.NewReaderSize(f, maxLine+1)
	for number := 1; ; number++ {
		line, err := reader.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return &Break{File: name, Line: number, Why: "is too long for an audit record"}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(line) > 0 {
			if err := fn(name, number, bytes.TrimSuffix(line, []byte("\n")), err == nil); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}
