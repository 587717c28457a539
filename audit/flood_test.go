package audit_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
)

// clock stands still until it is moved.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(1_000_000, c.at.Load()) }
func (c *clock) move(d time.Duration) { c.at.Add(int64(d)) }

func differing(host string, n int) audit.Record {
	r := refusal(host)
	r.Detail["path"] = fmt.Sprintf("/%d/%s", n, strings.Repeat("x", 4<<10))
	return r
}

// told is what a chain says of refusals: those written whole and, by rule and
// host, how many were counted besides.
func told(t *testing.T, path string) (whole int, counted map[string]int) {
	t.Helper()
	counted = make(map[string]int)
	for _, e := range read(t, path) {
		var detail struct {
			Rule, Host, Path string
			Repeated         int
		}
		if err := json.Unmarshal(e.Detail, &detail); err != nil {
			t.Fatal(err)
		}
		switch {
		case e.Decision != "block":
		case detail.Repeated == 0:
			whole++
		case detail.Path != "":
			t.Errorf("a summary of many paths names one: %.100s", e.Detail)
		default:
			counted[e.Actor+" "+detail.Rule+" "+detail.Host] += detail.Repeated
		}
	}
	return whole, counted
}

func TestTooManyDifferentRefusalsAreCounted(t *testing.T) {
	var c clock
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	log := mustOpen(t, path, audit.Options{Now: c.now})
	put := func(r audit.Record) {
		t.Helper()
		if err := log.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3000 {
		put(differing([]string{"a.test", "b.test"}[i%2], i))
		put(request(i)) // what was allowed is never counted
	}
	other := differing("a.test", 1)
	other.Actor = "git-gate" // one actor's flood hides nothing of another's
	put(other)
	mustClose(t, log)
	whole, counted := told(t, path)
	if want := "map[egress no-route a.test:1250 egress no-route b.test:1250]"; whole != 501 || fmt.Sprint(counted) != want {
		t.Errorf("%d whole, counted %v, want 501 and %s", whole, counted, want)
	}
	verifies(t, path, 501+2+3000)
}

func TestDifferentRefusalsAtAnOrdinaryPaceAreAllWritten(t *testing.T) {
	var c clock
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	log := mustOpen(t, path, audit.Options{Now: c.now})
	for i := range 2000 {
		if err := log.Append(differing("a.test", i)); err != nil {
			t.Fatal(err)
		}
		c.move(250 * time.Millisecond)
	}
	mustClose(t, log)
	if whole, counted := told(t, path); whole != 2000 || len(counted) != 0 {
		t.Errorf("%d whole, counted %v", whole, counted)
	}
}

func TestRefusalsDoNotFillTheDisk(t *testing.T) {
	const n = 8000
	written := func(window time.Duration) (size int64, all int) {
		var c clock
		path := filepath.Join(t.TempDir(), "bundle.jsonl")
		log := mustOpen(t, path, audit.Options{Now: c.now, Window: window})
		for i := range n {
			if err := log.Append(differing(fmt.Sprintf("h%d.test", i), i)); err != nil {
				t.Fatal(err)
			}
			c.move(time.Millisecond)
		}
		mustClose(t, log)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		whole, counted := told(t, path)
		all = whole
		for _, times := range counted {
			all += times
		}
		return info.Size(), all
	}
	if size, all := written(-1); size < 8<<20 || all != n {
		t.Fatalf("without counting %d bytes for %d refusals: this shows nothing", size, all)
	}
	if size, all := written(0); size > 1<<20 || all != n {
		t.Errorf("%d bytes tell of %d of %d refusals", size, all, n)
	}
}

func TestLongStringsAreCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	log := mustOpen(t, path, audit.Options{})
	short := strings.Repeat("x", 1<<10)
	if err := log.Append(audit.Record{Detail: map[string]any{"short": short, "long": short + "y"}}); err != nil {
		t.Fatal(err)
	}
	mustClose(t, log)
	var detail struct{ Short, Long string }
	if err := json.Unmarshal(read(t, path)[0].Detail, &detail); err != nil {
		t.Fatal(err)
	}
	if detail.Short != short || detail.Long != short+"… (cut, 1025 bytes)" {
		t.Errorf("%q", detail)
	}
}
