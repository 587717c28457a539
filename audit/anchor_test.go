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

func TestHeadAsText(t *testing.T) {
	h := audit.Head{Seq: 17, Hash: strings.Repeat("0a", 32)}
	if got, err := audit.ParseHead(h.String()); err != nil || got != h {
		t.Errorf("%+v %v", got, err)
	}
	for _, text := range []string{"", "17", ":", "17:abc", "x:" + h.Hash, "-1:" + h.Hash, "017:" + h.Hash, h.String() + "a", h.String() + " x", "17:" + strings.ToUpper(h.Hash)} {
		if got, err := audit.ParseHead(text); err == nil {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}

func TestLastHead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit", "bundle.jsonl")
	if h, err := audit.LastHead(path); err != nil || h.Seq != 0 || h.Hash != strings.Repeat("0", 64) {
		t.Errorf("no chain: %+v %v", h, err)
	}
	log := mustOpen(t, path, audit.Options{SegmentBytes: 3000})
	appendN(t, log, 30)
	last := read(t, path)[29]
	if h, err := audit.LastHead(path); err != nil || h.Seq != 30 || h.Hash != last.Hash {
		t.Errorf("while it is written: %+v %v", h, err)
	}
	mustClose(t, log)
	appendTo(t, path, `{"torn`)
	if h, err := audit.LastHead(path); err != nil || h.Seq != 30 {
		t.Errorf("with a torn line: %+v %v", h, err)
	}
	appendTo(t, path, "}\n")
	if h, err := audit.LastHead(path); err == nil {
		t.Errorf("a line that is none: %+v", h)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if h, err := audit.LastHead(path); err != nil || h.Seq >= 30 || h.Seq < 20 {
		t.Errorf("between two segments: %+v %v", h, err)
	}
	if err := os.Symlink("/etc/passwd", path); err != nil {
		t.Fatal(err)
	}
	if h, err := audit.LastHead(path); err == nil {
		t.Errorf("a link: %+v", h)
	}
}

// anchorIn writes a head into the operator's chain, as bottle up does.
func anchorIn(t *testing.T, operator, slug, action string, h audit.Head) {
	t.Helper()
	record := audit.Record{Actor: "operator", Action: action, Decision: "allow"}
	if action != audit.RemovedAction {
		record.Detail = audit.AnchorBundle(map[string]any{"x": 1}, h)
	}
	if err := audit.AppendOnce(operator, audit.Options{Slug: slug}, record); err != nil {
		t.Fatal(err)
	}
}

func TestChainsNameEachOther(t *testing.T) {
	dir := t.TempDir()
	operator, bundle := filepath.Join(dir, "operator.jsonl"), filepath.Join(dir, "bundle.jsonl")
	anchorIn(t, operator, "b", "start", audit.Head{})
	start, err := audit.LastHead(operator)
	if err != nil {
		t.Fatal(err)
	}
	log := mustOpen(t, bundle, audit.Options{})
	if err := log.Append(audit.Record{Actor: "bundle", Action: "start", Detail: audit.AnchorOperator(nil, start)}); err != nil {
		t.Fatal(err)
	}
	appendN(t, log, 5)
	mustClose(t, log)
	head, err := audit.LastHead(bundle)
	if err != nil {
		t.Fatal(err)
	}
	anchorIn(t, operator, "b", "stop", head)
	anchorIn(t, operator, "other", "stop", audit.Head{Seq: 99, Hash: head.Hash})

	verify := func() (audit.Report, bool) {
		t.Helper()
		operators, err := audit.Verify(operator)
		if err != nil {
			t.Fatal(err)
		}
		heads, removed := operators.Heads("b", "")
		report, err := audit.VerifyBundle(bundle, operator, heads...)
		if err != nil {
			t.Fatal(err)
		}
		return report, removed
	}
	if report, _ := verify(); report.Broken != nil || report.Records != 6 {
		t.Fatalf("the control: %+v", report)
	}
	if operators, _ := audit.Verify(operator); fmt.Sprint(operators.Slugs()) != "[b other]" {
		t.Errorf("slugs %v", operators.Slugs())
	}
	kept, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bundle, kept[:strings.Index(string(kept), "\n")+1], 0o600); err != nil {
		t.Fatal(err)
	}
	if report, _ := verify(); report.Broken == nil || report.Broken.Line != 2 || report.Broken.Seq != 2 || !strings.Contains(report.Broken.Error(), "operator.jsonl line 2 names seq 6") {
		t.Errorf("cut: %v", report.Broken)
	}

	// A chain that is gone is not forgiven by a new start, but by a removal.
	if err := os.Remove(bundle); err != nil {
		t.Fatal(err)
	}
	anchorIn(t, operator, "b", "start", audit.Head{})
	if report, removed := verify(); removed || report.Broken == nil || !strings.Contains(report.Broken.Why, "gone") {
		t.Errorf("gone: %+v %v", report.Broken, removed)
	}
	anchorIn(t, operator, "b", audit.RemovedAction, audit.Head{})
	log = mustOpen(t, bundle, audit.Options{})
	appendN(t, log, 1)
	mustClose(t, log)
	if report, removed := verify(); !removed || report.Broken != nil {
		t.Errorf("removed: %+v %v", report.Broken, removed)
	}
	anchorIn(t, operator, "b", "start", audit.Head{})
	if report, removed := verify(); removed || report.Broken != nil {
		t.Errorf("begun anew: %+v %v", report.Broken, removed)
	}

	// The operator's chain was cut, and the bundle's remembers.
	if err := os.WriteFile(bundle, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(operator, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if report, _ := verify(); report.Broken == nil || report.Broken.Line != 1 || !strings.Contains(report.Broken.Why, "names seq 1 of the operator's chain") {
		t.Errorf("the operator's: %v", report.Broken)
	}
}

func TestSwappedSegments(t *testing.T) {
	path, head := chainOf(t)
	first, second := filepath.Join(filepath.Dir(path), "bundle-000001.jsonl"), filepath.Join(filepath.Dir(path), "bundle-000002.jsonl")
	swap := func() {
		t.Helper()
		if err := errors.Join(os.Rename(first, first+"x"), os.Rename(second, first), os.Rename(first+"x", second)); err != nil {
			t.Fatal(err)
		}
	}
	swap()
	report, err := audit.Verify(path, head)
	if err != nil || report.Broken == nil || report.Broken.File != "bundle-000001.jsonl" || report.Broken.Line != 1 || !strings.Contains(report.Broken.Why, "out of order") {
		t.Errorf("%+v %v", report.Broken, err)
	}
	swap()
	if report, err := audit.Verify(path, head); err != nil || report.Broken != nil {
		t.Errorf("the control: %+v %v", report, err)
	}
}
