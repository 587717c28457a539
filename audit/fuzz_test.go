package audit

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzVerify: whatever stands in a file, reading it neither fails hard nor
// takes for whole what was changed.
func FuzzVerify(f *testing.F) {
	body := []byte(`"slug":"s","actor":"egress","action":"request","decision":"allow","detail":{}`)
	first, hash := appendLine(nil, 1, time.Unix(0, 0), body, string(bytes.Repeat([]byte("0"), hashLen)))
	whole, _ := appendLine(bytes.Clone(first), 2, time.Unix(1, 0), body, hash)
	f.Add(whole)
	f.Add(first[:len(first)-3])
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "bundle.jsonl")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		report, err := Verify(path)
		if err != nil {
			t.Fatal(err)
		}
		if lines := uint64(bytes.Count(text, []byte("\n"))); report.Records > lines {
			t.Fatalf("%d records in %d lines", report.Records, lines)
		}
		if report.Broken != nil {
			return
		}
		log, err := Open(path, Options{})
		if err != nil {
			t.Fatalf("whole, but cannot be continued: %v", err)
		}
		if err := log.Append(Record{}); err != nil {
			t.Fatal(err)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		if after, err := Verify(path); err != nil || after.Broken != nil || after.Records != report.Records+1 {
			t.Fatalf("after one more: %+v %v", after, err)
		}
	})
}
