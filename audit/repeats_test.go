package audit_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
)

func refusal(host string) audit.Record {
	return audit.Record{Actor: "egress", Action: "request", Decision: "block",
		Detail: map[string]any{"rule": "no-route", "host": host, "method": "GET", "path": "/", "id": 1}}
}

func TestIdenticalRefusalsAreCounted(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	log := mustOpen(t, path, audit.Options{Now: func() time.Time { return now }, Window: time.Minute})
	put := func(r audit.Record) {
		t.Helper()
		if err := log.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		put(refusal("a.test"))
	}
	put(refusal("b.test")) // another host is another refusal
	for range 3 {
		put(request(1)) // what was allowed is never aggregated
	}
	if got := len(read(t, path)); got != 5 {
		t.Fatalf("%d lines before the window ends, want 5", got)
	}
	now = now.Add(time.Minute)
	put(refusal("a.test")) // ends the first window and begins another
	put(refusal("a.test"))
	mustClose(t, log)
	var told []string
	for _, e := range read(t, path) {
		var detail struct {
			Host     string
			Repeated int
		}
		if err := json.Unmarshal(e.Detail, &detail); err != nil {
			t.Fatal(err)
		}
		if e.Decision == "block" {
			told = append(told, fmt.Sprint(detail.Host, " ", detail.Repeated))
		}
	}
	if want := "[a.test 0 b.test 0 a.test 99 a.test 0 a.test 1]"; fmt.Sprint(told) != want {
		t.Errorf("got %v, want %v", told, want)
	}
	verifies(t, path, 8)
}

func TestNothingFollowsTheLastRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	log := mustOpen(t, path, audit.Options{Window: time.Hour})
	for range 3 {
		if err := log.Append(refusal("a.test")); err != nil {
			t.Fatal(err)
		}
	}
	var writers sync.WaitGroup
	for range 4 { // those who do not know yet that it is over
		writers.Go(func() {
			for log.Append(request(1)) == nil {
			}
		})
	}
	last := audit.Record{Actor: "bundle", Action: "stop", Decision: "stopped"}
	if err := log.End(last); err != nil {
		t.Fatal(err)
	}
	writers.Wait()
	mustClose(t, log)
	all := read(t, path)
	if e := all[len(all)-1]; e.Action != "stop" {
		t.Errorf("the last line is %s of %s", e.Action, e.Actor)
	}
	refused := 0
	for _, e := range all {
		if e.Decision == "block" {
			refused++
		}
	}
	if refused != 2 {
		t.Errorf("%d lines of the refusals, want the first and the count", refused)
	}
	verifies(t, path, uint64(len(all)))
}
