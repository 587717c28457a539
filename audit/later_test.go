package audit_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
)

// TestAppendLater: what waits comes with the next record, by itself, and at
// the latest with the end.
func TestAppendLater(t *testing.T) {
	path := t.TempDir() + "/bundle.jsonl"
	log := mustOpen(t, path, audit.Options{})
	later := func(n int) {
		t.Helper()
		if err := log.AppendLater(request(n)); err != nil {
			t.Fatal(err)
		}
	}
	later(0)
	later(1)
	if err := log.Append(request(2)); err != nil {
		t.Fatal(err)
	}
	if got := len(read(t, path)); got != 3 {
		t.Errorf("%d records after one that was written at once", got)
	}
	later(3)
	for end := time.Now().Add(time.Minute); len(read(t, path)) < 4; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("what waits alone is never written")
		}
	}
	later(4)
	if err := log.End(request(5)); err != nil {
		t.Fatal(err)
	}
	verifies(t, path, 6)
	for i, entry := range read(t, path) {
		if want := fmt.Sprintf("/n/%d\"", i); !strings.Contains(string(entry.Detail), want) {
			t.Errorf("record %d is %s, want %s", i, entry.Detail, want)
		}
	}
	if err := log.AppendLater(request(6)); err != audit.ErrClosed {
		t.Errorf("after the end: %v", err)
	}
}

// TestLaterAmongOthers: the chain holds whoever writes beside whom.
func TestLaterAmongOthers(t *testing.T) {
	path := t.TempDir() + "/bundle.jsonl"
	log := mustOpen(t, path, audit.Options{SegmentBytes: 20_000})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				if log.Append(request(i)) != nil || log.AppendLater(request(i)) != nil {
					t.Error("a record was not taken")
				}
			}
		})
	}
	wg.Wait()
	mustClose(t, log)
	verifies(t, path, 1600)
}

// TestCleanTextsAreRememberedAlone: a text that needs cleaning is cleaned
// every time, one that does not is looked at once.
func TestCleanTextsAreRememberedAlone(t *testing.T) {
	path := t.TempDir() + "/bundle.jsonl"
	var looked atomic.Int32
	log := mustOpen(t, path, audit.Options{Redact: func(s string) string {
		looked.Add(1)
		return strings.ReplaceAll(s, "hunter2", "[redacted]")
	}})
	for range 5 {
		for _, word := range []string{"plain", "hunter2"} {
			if err := log.Append(audit.Record{Actor: "egress", Action: "x", Detail: map[string]any{"word": word}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, entry := range read(t, path) {
		if want := []string{"plain", "[redacted]"}[i%2]; !strings.Contains(string(entry.Detail), want) {
			t.Errorf("record %d says %s", i, entry.Detail)
		}
	}
	looks := looked.Load()
	if err := log.Append(audit.Record{Actor: "egress", Action: "x", Detail: map[string]any{"word": "plain"}}); err != nil || looked.Load() != looks {
		t.Errorf("%d more looks at what was clean, %v", looked.Load()-looks, err)
	}
	// Not even when so much came between that the memory was emptied.
	for i := range 2000 {
		if err := log.Append(request(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Append(audit.Record{Actor: "egress", Action: "x", Detail: map[string]any{"word": "hunter2"}}); err != nil {
		t.Fatal(err)
	}
	if entries := read(t, path); !strings.Contains(string(entries[len(entries)-1].Detail), "[redacted]") {
		t.Error("a secret was written")
	}
}
