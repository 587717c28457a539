package audit

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestSkipPassesOverOldSegmentsAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	log, err := Open(path, Options{SegmentBytes: 3000})
	if err != nil {
		t.Fatal(err)
	}
	for range 40 {
		if err := log.Append(Record{Actor: "egress", Action: "request", Detail: map[string]any{"x": strings.Repeat("y", 100)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	last := -1
	for _, limit := range []int64{1, 3000, 6000, 9000, 1 << 40} {
		reader := newTail(path)
		if err := reader.skip(limit); err != nil {
			t.Fatal(err)
		}
		bytes, lines := int64(0), 0
		if _, err := reader.next(func(_ string, _ int, line []byte, _ bool) error {
			bytes += int64(len(line)) + 1
			lines++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		reader.close()
		if lines < last || lines < 40 && bytes < limit {
			t.Errorf("of %d bytes %d were read, %d lines", limit, bytes, lines)
		}
		last = lines
	}
	if last != 40 {
		t.Errorf("%d lines of 40", last)
	}
}
