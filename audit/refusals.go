package audit

import (
	"bytes"
	"os"

	"golang.org/x/sys/unix"
)

// maxSearched is how much of a chain Refusals looks at, from its end.
const maxSearched = 256 << 20

// Refusals calls fn for the records with decision "block" of the chain at path,
// oldest first, until it fails. The chain is hostile input: no more than the
// last 256 MiB or so are looked at, and what is no record is passed over.
func Refusals(path string, fn func(Entry) error) error {
	t := newTail(path)
	defer t.close()
	if err := t.skip(maxSearched); err != nil {
		return err
	}
	_, err := t.next(func(_ string, _ int, line []byte, whole bool) error {
		if !whole || !bytes.Contains(line, []byte(`"decision":"`+blocked+`"`)) {
			return nil
		}
		entry, err := parse(line)
		if err != nil || entry.Decision != blocked {
			return nil //nolint:nilerr // Verify is what tells of it
		}
		return fn(entry)
	})
	return err
}

// skip passes over the oldest segments, such that at least limit bytes are
// left where there are so many, and no segment too much.
func (t *tail) skip(limit int64) error {
	folder, name, err := openFolder(t.path)
	if err != nil {
		return err
	}
	defer folder.Close()
	numbers, err := segments(folder, name)
	if err != nil {
		return err
	}
	left := limit - sizeOf(folder, name)
	for i := len(numbers) - 1; i >= 0 && left > 0; i-- {
		left -= sizeOf(folder, segmentName(name, numbers[i]))
		if left <= 0 {
			t.closed = numbers[i] - 1
			return nil
		}
	}
	if left <= 0 && len(numbers) > 0 {
		t.closed = numbers[len(numbers)-1]
	}
	return nil
}

func sizeOf(folder *os.File, name string) int64 {
	var stat unix.Stat_t
	if err := unix.Fstatat(int(folder.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return 0
	}
	return stat.Size
}
