package audit_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/audit"
)

func sum(line string) string {
	digest := sha256.Sum256([]byte(line))
	return hex.EncodeToString(digest[:])
}

// chainOf writes 30 records into segments of ten lines or so.
func chainOf(t *testing.T) (path string, head audit.Head) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "bundle.jsonl")
	log := mustOpen(t, path, audit.Options{SegmentBytes: 3000, OnHead: func(seq uint64, hash string) {
		head = audit.Head{Seq: seq, Hash: hash}
	}})
	appendN(t, log, 30)
	mustClose(t, log)
	return path, head
}

// rehash gives a line that was changed a fitting hash again.
func rehash(line string) string {
	body := line[:strings.LastIndex(line, `,"hash":"`)]
	return body + `,"hash":"` + sum(body+"}") + `"}`
}

func TestVerifyNamesTheFirstBrokenLine(t *testing.T) {
	tests := map[string]struct {
		change  func(lines []string) []string // of the first segment
		line    int
		why     string
		records uint64
	}{
		"flipped byte in a value": {func(l []string) []string { l[3] = strings.Replace(l[3], "/n/3", "/n/2", 1); return l },
			4, "does not match its bytes", 3},
		"flipped byte in the hash": {func(l []string) []string {
			at := len(l[3]) - 5
			l[3] = l[3][:at] + string("01"[l[3][at]&1^1]) + l[3][at+1:]
			return l
		}, 4, "does not match its bytes", 3},
		"flipped newline":   {func(l []string) []string { return append(append(l[:3:3], l[3]+"x"+l[4]), l[5:]...) }, 4, "no audit record", 3},
		"line removed":      {func(l []string) []string { return slices.Delete(l, 2, 3) }, 3, "gap: seq 3 to 3 are missing", 2},
		"first removed":     {func(l []string) []string { return l[1:] }, 1, "gap: seq 1 to 1 are missing", 0},
		"lines exchanged":   {func(l []string) []string { l[4], l[5] = l[5], l[4]; return l }, 5, "out of order", 4},
		"line repeated":     {func(l []string) []string { return slices.Insert(l, 4, l[3]) }, 5, "out of order", 4},
		"rewritten line":    {func(l []string) []string { l[3] = rehash(strings.Replace(l[3], "/n/3", "/n/2", 1)); return l }, 5, "rewritten", 4},
		"segment shortened": {func(l []string) []string { return l[:len(l)-1] }, 1, "gap", 0},
		"garbage":           {func(l []string) []string { l[2] = "{}"; return l }, 3, "no audit record", 2},
		"nothing":           {func(l []string) []string { return l }, 0, "", 30},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path, _ := chainOf(t)
			first := filepath.Join(filepath.Dir(path), "bundle-000001.jsonl")
			text, err := os.ReadFile(first)
			if err != nil {
				t.Fatal(err)
			}
			changed := test.change(strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"))
			if err := os.WriteFile(first, []byte(strings.Join(changed, "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			report, err := audit.Verify(path)
			if err != nil {
				t.Fatal(err)
			}
			if test.why == "" {
				verifies(t, path, test.records)
				return
			}
			if report.Broken == nil || report.Broken.Line != test.line || !strings.Contains(report.Broken.Why, test.why) {
				t.Fatalf("got %v, want line %d: %s", report.Broken, test.line, test.why)
			}
			if name != "segment shortened" && report.Records != test.records {
				t.Errorf("%d records held, want %d", report.Records, test.records)
			}
		})
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	log := mustOpen(t, path, audit.Options{})
	appendN(t, log, 2)
	mustClose(t, log)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	verifies(t, path, 2)
	for i := range text {
		text[i] ^= 1
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if report, err := audit.Verify(path); err != nil || report.Broken == nil {
			t.Errorf("byte %d: %+v %v", i, report, err)
		}
		text[i] ^= 1
	}
}

func TestVerifyFindsMissingSegmentsAndTails(t *testing.T) {
	for segment, named := range map[string]string{"bundle-000001.jsonl": "bundle-000001.jsonl", "bundle-000002.jsonl": "bundle.jsonl"} {
		t.Run("missing "+segment, func(t *testing.T) {
			path, _ := chainOf(t)
			if err := os.Remove(filepath.Join(filepath.Dir(path), segment)); err != nil {
				t.Fatal(err)
			}
			report, err := audit.Verify(path)
			if err != nil || report.Broken == nil || report.Broken.File != named || !strings.Contains(report.Broken.Why, "missing") {
				t.Errorf("%+v %v", report, err)
			}
		})
	}
	t.Run("cut tail", func(t *testing.T) {
		path, head := chainOf(t)
		if report, err := audit.Verify(path, head); err != nil || report.Broken != nil {
			t.Fatalf("control: %+v %v", report, err)
		}
		text, _ := os.ReadFile(path)
		whole := strings.LastIndexByte(string(text[:len(text)-1]), '\n') + 1
		if err := os.Truncate(path, int64(whole)); err != nil {
			t.Fatal(err)
		}
		report, err := audit.Verify(path, head)
		if err != nil || report.Broken == nil || !strings.Contains(report.Broken.Why, "cut after seq 29") {
			t.Errorf("%+v %v", report, err)
		}
	})
	t.Run("rewritten from the start", func(t *testing.T) {
		path, head := chainOf(t)
		other, _ := chainOf(t)
		if err := os.RemoveAll(filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Dir(other), filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
		report, err := audit.Verify(path, head)
		if err != nil || report.Broken == nil || !strings.Contains(report.Broken.Why, "names another line") {
			t.Errorf("%+v %v", report, err)
		}
	})
	t.Run("torn", func(t *testing.T) {
		path, _ := chainOf(t)
		appendTo(t, path, `{"seq":31,`)
		report, err := audit.Verify(path)
		if err != nil || report.Broken == nil || report.Records != 30 || !strings.Contains(report.Broken.Why, "torn") {
			t.Errorf("%+v %v", report, err)
		}
	})
}

func TestReadDistrustsTheFolder(t *testing.T) {
	good, _ := chainOf(t)
	read(t, good)
	endless := strings.Repeat("x", 1<<20)
	for name, prepare := range map[string]func(path string) error{
		"link":      func(path string) error { return os.Symlink(good, path) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"pipe":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"long line": func(path string) error { return os.WriteFile(path, []byte(endless), 0o600) },
		"absent":    func(string) error { return nil },
	} {
		path := filepath.Join(t.TempDir(), "bundle.jsonl")
		if err := prepare(path); err != nil {
			t.Fatal(err)
		}
		if err := audit.Read(path, func(audit.Entry) error { return nil }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	link := filepath.Join(t.TempDir(), "audit")
	if err := os.Symlink(filepath.Dir(good), link); err != nil {
		t.Fatal(err)
	}
	if err := audit.Read(filepath.Join(link, "bundle.jsonl"), func(audit.Entry) error { return nil }); err == nil {
		t.Error("a linked folder was read")
	}
}

func TestHeads(t *testing.T) {
	var heads []audit.Head
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	log := mustOpen(t, path, audit.Options{OnHead: func(seq uint64, hash string) {
		heads = append(heads, audit.Head{Seq: seq, Hash: hash})
	}})
	appendN(t, log, 2500)
	mustClose(t, log)
	var at []uint64
	for _, h := range heads {
		at = append(at, h.Seq)
	}
	if fmt.Sprint(at) != "[1000 2000 2500]" {
		t.Errorf("heads at %v", at)
	}
	if report, err := audit.Verify(path, heads...); err != nil || report.Broken != nil {
		t.Errorf("%+v %v", report, err)
	}
}
