package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
)

func TestMain(m *testing.M) {
	if scenario, ok := scenarios[os.Getenv("AUDIT_TEST_SCENARIO")]; ok {
		scenario(os.Getenv("AUDIT_TEST_DIR"))
		return
	}
	os.Exit(m.Run())
}

func mustOpen(t testing.TB, path string, o audit.Options) *audit.Log {
	t.Helper()
	log, err := audit.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

func mustClose(t testing.TB, log *audit.Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

func request(n int) audit.Record {
	return audit.Record{Actor: "egress", Action: "request", Decision: "allow",
		Detail: map[string]any{"host": "api.test", "path": fmt.Sprintf("/n/%d", n)}}
}

func appendN(t testing.TB, log *audit.Log, n int) {
	t.Helper()
	for i := range n {
		if err := log.Append(request(i)); err != nil {
			t.Fatal(err)
		}
	}
}

func verifies(t testing.TB, path string, records uint64) audit.Report {
	t.Helper()
	report, err := audit.Verify(path)
	if err != nil {
		t.Fatal(err)
	}
	if report.Broken != nil {
		t.Fatalf("broken: %v", report.Broken)
	}
	if report.Records != records {
		t.Fatalf("%d records, want %d", report.Records, records)
	}
	return report
}

func read(t testing.TB, path string) []audit.Entry {
	t.Helper()
	var entries []audit.Entry
	if err := audit.Read(path, func(e audit.Entry) error {
		entries = append(entries, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "bundle.jsonl")
	at := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	log := mustOpen(t, path, audit.Options{Slug: "dev-abc12", Now: func() time.Time { return at }})
	if err := log.Append(audit.Record{Actor: "egress", Action: "request", Decision: "allow",
		Detail: map[string]any{"host": "a.test", "bytes": 7, "note": "tab\tquote\"é"}}); err != nil {
		t.Fatal(err)
	}
	if err := log.Append(audit.Record{Actor: "egress", Action: "stop"}); err != nil {
		t.Fatal(err)
	}
	mustClose(t, log)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	zeros := strings.Repeat("0", 64)
	first, second, _ := strings.Cut(string(text), "\n")
	wantFirst := `{"seq":1,"time":"2026-01-02T03:04:05.0000006Z","slug":"dev-abc12","actor":"egress","action":"request","decision":"allow","detail":{"bytes":7,"host":"a.test","note":"tab\tquote\"é"},"prev":"` + zeros + `"}`
	hash := sum(wantFirst)
	if want := wantFirst[:len(wantFirst)-1] + `,"hash":"` + hash + `"}`; first != want {
		t.Errorf("got  %s\nwant %s", first, want)
	}
	if !strings.Contains(second, `"seq":2,`) || !strings.Contains(second, `"detail":{},"prev":"`+hash+`"`) {
		t.Errorf("second line: %s", second)
	}
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), want)
		}
	}
}

func TestSegmentsContinueTheChain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	for range 3 { // reopening continues too
		log := mustOpen(t, path, audit.Options{SegmentBytes: 2000})
		appendN(t, log, 40)
		mustClose(t, log)
	}
	if report := verifies(t, path, 120); report.Segments < 10 || report.Seq != 120 {
		t.Errorf("%+v", report)
	}
	for i, e := range read(t, path) {
		if e.Seq != uint64(i+1) {
			t.Fatalf("entry %d has seq %d", i, e.Seq)
		}
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(path), "bundle-000001.jsonl")); err != nil {
		t.Error(err)
	}
}

func TestReopenAfterACrashBetweenSegments(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	log := mustOpen(t, path, audit.Options{})
	appendN(t, log, 5)
	mustClose(t, log)
	if err := os.Rename(path, filepath.Join(filepath.Dir(path), "bundle-000001.jsonl")); err != nil {
		t.Fatal(err)
	}
	verifies(t, path, 5)
	log = mustOpen(t, path, audit.Options{})
	appendN(t, log, 5)
	mustClose(t, log)
	verifies(t, path, 10)
}

func TestTornLastLineIsCut(t *testing.T) {
	for name, tail := range map[string]string{
		"half a line": `{"seq":6,"time":"2026`, "zero bytes": strings.Repeat("\x00", 4096), "nothing": "",
	} {
		path := filepath.Join(t.TempDir(), "bundle.jsonl")
		log := mustOpen(t, path, audit.Options{})
		appendN(t, log, 5)
		mustClose(t, log)
		appendTo(t, path, tail)
		log = mustOpen(t, path, audit.Options{})
		appendN(t, log, 1)
		mustClose(t, log)
		if report := verifies(t, path, 6); report.Seq != 6 {
			t.Errorf("%s: %+v", name, report)
		}
	}
}

func TestOpenRefusesAChangedEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	log := mustOpen(t, path, audit.Options{})
	appendN(t, log, 2)
	mustClose(t, log)
	text, _ := os.ReadFile(path)
	changed := bytes.Replace(text, []byte("/n/1"), []byte("/n/9"), 1)
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Open(path, audit.Options{}); err == nil {
		t.Fatal("a chain was continued on a changed line")
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	mustClose(t, mustOpen(t, path, audit.Options{})) // the control
}

func TestOneWriterOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	log := mustOpen(t, path, audit.Options{})
	if _, err := audit.Open(path, audit.Options{LockWait: time.Millisecond}); err == nil {
		t.Fatal("two writers have the chain")
	}
	mustClose(t, log)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := audit.AppendOnce(path, audit.Options{}, request(1), request(2)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	verifies(t, path, 16)
}

func TestConcurrentAppends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	log := mustOpen(t, path, audit.Options{SegmentBytes: 50_000})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { appendN(t, log, 200) })
	}
	wg.Wait()
	verifies(t, path, 3200) // readable while it is open
	mustClose(t, log)
	if err := log.Append(request(1)); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
}

func TestNothingSecretIsWritten(t *testing.T) {
	const secret = `hunter2"secret-value`
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	log := mustOpen(t, path, audit.Options{Slug: secret, Redact: func(s string) string {
		return strings.ReplaceAll(s, secret, "[redacted]")
	}})
	detail := map[string]any{
		"plain": "x" + secret + "y", secret: 1, "list": []any{secret}, "typed": struct{ A []string }{[]string{secret}},
		"error": errors.New(secret), "kept": "visible", "nested": map[string]any{"deep": secret},
	}
	for range 2 {
		if err := log.Append(audit.Record{Actor: secret, Action: secret, Decision: "block", Detail: detail}); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, log)
	text, _ := os.ReadFile(path)
	escaped, _ := json.Marshal(secret)
	if bytes.Contains(text, []byte("hunter2")) || bytes.Contains(text, escaped[1:len(escaped)-1]) {
		t.Errorf("the secret is in %s", text)
	}
	if !bytes.Contains(text, []byte(`"kept":"visible"`)) {
		t.Errorf("the rest is gone: %s", text)
	}
	verifies(t, path, 2)
}

func TestLongDetailIsCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	log := mustOpen(t, path, audit.Options{})
	many := make(map[string]any)
	for i := range 1000 {
		many[fmt.Sprint(i)] = strings.Repeat("x", 1000)
	}
	for _, detail := range []map[string]any{{"long": strings.Repeat("é", 1<<20)}, many} {
		if err := log.Append(audit.Record{Detail: detail}); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, log)
	verifies(t, path, 2)
	if info, _ := os.Stat(path); info.Size() > 10_000 {
		t.Errorf("%d bytes", info.Size())
	}
}

func TestNilLogKeepsNothing(t *testing.T) {
	var log *audit.Log
	if err := log.Append(request(1)); err != nil {
		t.Error(err)
	}
	mustClose(t, log)
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}
