package audit_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/audit"
)

func TestWatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit", "bundle.jsonl")
	w := audit.NewWatch(path)
	defer w.Close()
	var seen []audit.Head
	poll := func() {
		t.Helper()
		heads, err := w.Poll()
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, heads...)
	}
	poll() // nothing is there yet
	if h, err := w.Head(); err != nil || h.Seq != 0 {
		t.Errorf("%+v %v", h, err)
	}
	log := mustOpen(t, path, audit.Options{SegmentBytes: 30_000})
	for _, n := range []int{1, 999, 500, 1600, 0, 20} {
		appendN(t, log, n)
		poll()
	}
	mustClose(t, log)
	appendTo(t, path, `{"torn`)
	poll()
	last, err := w.Head()
	if err != nil || last.Seq != 3120 {
		t.Errorf("%+v %v", last, err)
	}
	var at []string
	for _, h := range seen {
		at = append(at, fmt.Sprint(h.Seq))
	}
	if strings.Join(at, " ") != "1000 2000 3000" {
		t.Errorf("heads at %s", at)
	}
	log = mustOpen(t, path, audit.Options{}) // cuts the torn line
	appendN(t, log, 1)
	poll()
	mustClose(t, log)
	if report, err := audit.Verify(path, append(seen, last)...); err != nil || report.Broken != nil {
		t.Errorf("%+v %v", report, err)
	}
}

func TestWatchFindsWhatIsTakenBack(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"cut": func(path string) error { return os.Truncate(path, 100) },
		"no record": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString(strings.Repeat("{}\n", 1000))
			return errors.Join(err, f.Close())
		},
		"endless line": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString(strings.Repeat("x", 1<<20))
			return errors.Join(err, f.Close())
		},
	} {
		path := filepath.Join(t.TempDir(), "bundle.jsonl")
		log := mustOpen(t, path, audit.Options{})
		appendN(t, log, 20)
		mustClose(t, log)
		w := audit.NewWatch(path)
		defer w.Close()
		if _, err := w.Poll(); err != nil {
			t.Fatal(err)
		}
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		_, err := w.Poll()
		if _, ok := errors.AsType[*audit.Break](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReaderGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	r := audit.NewReader(path)
	defer r.Close()
	count := func() (n int) {
		t.Helper()
		err := r.Next(func(audit.Entry) error { n++; return nil })
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 0 {
		t.Errorf("%d entries of nothing", n)
	}
	log := mustOpen(t, path, audit.Options{SegmentBytes: 2000})
	for _, n := range []int{3, 40, 0, 1} {
		appendN(t, log, n)
		if got := count(); got != n {
			t.Errorf("%d entries, want %d", got, n)
		}
	}
	stop := errors.New("stop")
	appendN(t, log, 3)
	if err := r.Next(func(audit.Entry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	if n := count(); n != 2 {
		t.Errorf("%d entries after the one that was refused", n)
	}
}

func TestRefusals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	log := mustOpen(t, path, audit.Options{SegmentBytes: 2000, Window: -1})
	for i := range 30 {
		r := request(i)
		if i%3 == 0 {
			r.Decision = "block"
		}
		if err := log.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, log)
	appendTo(t, path, `{"seq":31,"decision":"block"}`+"\n"+`{"torn "decision":"block"`)
	n := 0
	if err := audit.Refusals(path, func(e audit.Entry) error {
		if e.Decision != "block" {
			t.Errorf("%+v", e)
		}
		n++
		return nil
	}); err != nil || n != 10 {
		t.Errorf("%d refusals, %v", n, err)
	}
	if err := audit.Refusals(filepath.Join(t.TempDir(), "none.jsonl"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
