package main_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// auditHome is a home with the state of two bottles that did the same.
type auditHome struct {
	t   *testing.T
	dir string
}

// newAuditHome runs the bottles.
func newAuditHome(t *testing.T) auditHome {
	t.Helper()
	h := auditHome{t, t.TempDir()}
	workspace := t.TempDir()
	if err := errors.Join(os.Chmod(h.dir, 0o700), os.Mkdir(filepath.Join(h.dir, "bottles"), 0o700)); err != nil {
		t.Fatal(err)
	}
	h.write("bottles/plain.md", "---\negress: {routes: []}\n---\n")
	for _, label := range []string{"one", "two"} {
		out, err := h.bottle("up", "--bottle", "plain", "--label", label, "--workspace", workspace,
			"--", "sh", "-c", "for i in $(seq 20); do curl -s http://refused.example.com/$i; done; curl -s http://refused.example.com/last; sleep 1")
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return h
}

func (h auditHome) bottle(args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(programs, "bottle"), args...)
	cmd.Env = append(os.Environ(), "CLAUDE_BOTTLE_HOME="+h.dir, "TZ=UTC")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (h auditHome) copy() auditHome {
	h.t.Helper()
	to := h.t.TempDir()
	if err := os.Chmod(to, 0o700); err != nil {
		h.t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", h.dir+"/.", to).CombinedOutput(); err != nil {
		h.t.Fatalf("%v: %s", err, out)
	}
	return auditHome{h.t, to}
}

func (h auditHome) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h auditHome) lines(name string) []string {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, name))
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// forge gives each line the number and the hashes that fit its place.
func forge(lines []string) []string {
	prev := strings.Repeat("0", 64)
	for i, line := range lines {
		from, to := strings.Index(line, `,"time":`), strings.LastIndex(line, `,"prev":"`)
		body := fmt.Sprintf(`{"seq":%d`, i+1) + line[from:to] + `,"prev":"` + prev + `"}`
		sum := sha256.Sum256([]byte(body))
		prev = hex.EncodeToString(sum[:])
		lines[i] = body[:len(body)-1] + `,"hash":"` + prev + `"}`
	}
	return lines
}

const (
	bundleLog   = "state/one/out/audit/bundle.jsonl"
	otherLog    = "state/two/out/audit/bundle.jsonl"
	operatorLog = "audit/operator.jsonl"
)

func TestAuditVerifyNamesWhatWasDone(t *testing.T) {
	made := newAuditHome(t)
	flip := func(l []string) []string {
		l[4] = strings.Replace(l[4], "refused", "refusee", 1)
		return l
	}
	for name, test := range map[string]struct {
		file   string
		change func(lines []string) []string
		words  string // a regular expression; empty = nothing is wrong
	}{
		"nothing":             {bundleLog, func(l []string) []string { return l }, ""},
		"a flipped byte":      {bundleLog, flip, `one .*bundle.jsonl: line 5 \(seq 5\) was changed`},
		"a removed line":      {bundleLog, func(l []string) []string { return slices.Delete(l, 4, 5) }, `one .*bundle.jsonl: line 5 \(seq 5\) follows a gap: seq 5 to 5`},
		"lines exchanged":     {bundleLog, func(l []string) []string { l[4], l[5] = l[5], l[4]; return l }, `one .*bundle.jsonl: line 5 \(seq 5\) is out of order`},
		"half of the last":    {bundleLog, func(l []string) []string { l[len(l)-1] = l[len(l)-1][:40]; return l }, `one .*bundle.jsonl: line \d+ \(seq \d+\) is no audit record`},
		"a cut tail":          {bundleLog, func(l []string) []string { return l[:len(l)-3] }, `one .*bundle.jsonl: line \d+ \(seq \d+\) is missing: the chain was cut after seq \d+, operator.jsonl line \d+ names`},
		"all rewritten":       {bundleLog, func(l []string) []string { return forge(flip(l)) }, `one .*bundle.jsonl: line \d+ \(seq \d+\) was rewritten: operator.jsonl line \d+ names`},
		"cut and filled":      {bundleLog, func(l []string) []string { return forge(append(slices.Delete(l, 6, 7), l[len(l)-2])) }, `one .*bundle.jsonl: line \d+ \(seq \d+\) was rewritten`},
		"another's chain":     {bundleLog, func([]string) []string { return made.lines(otherLog) }, `one .*bundle.jsonl: line \d+ \(seq \d+\) was rewritten`},
		"an empty file":       {bundleLog, func([]string) []string { return nil }, `one .*bundle.jsonl: line \d+ .*no audit record|is missing`},
		"the operator's":      {operatorLog, func(l []string) []string { l[1] = strings.Replace(l[1], "anchor", "ancher", 1); return l }, `operator .*operator.jsonl: line 2 \(seq 2\) was changed`},
		"the operator's tail": {operatorLog, func(l []string) []string { return l[:2] }, `two .*bundle.jsonl: line \d+ \(seq \d+\) names seq \d+ of the operator's chain`},
		"the operator's all": {operatorLog, func(l []string) []string {
			l[0] = strings.Replace(l[0], "plain", "plane", 1)
			return forge(l)
		}, `one .*bundle.jsonl: line \d+ \(seq \d+\) names seq 1 of the operator's chain`},
	} {
		t.Run(name, func(t *testing.T) {
			h := made.copy()
			h.t = t
			h.write(test.file, strings.Join(test.change(h.lines(test.file)), "\n")+"\n")
			out, err := h.bottle("audit", "verify")
			if (err == nil) != (test.words == "") {
				t.Errorf("exit: %v", err)
			}
			if !regexp.MustCompile(test.words).MatchString(out) {
				t.Errorf("said %s\nwant %s", out, test.words)
			}
			if test.words == "" && strings.Count(out, "anchored up to seq") != 2 {
				t.Errorf("the anchors: %s", out)
			}
		})
	}
	for _, gone := range []struct{ name, path, words string }{
		{"the log", "state/one/out/audit", `one .*is missing: the chain is gone`},
		{"the folder", "state/one", `one .*no "bottle cleanup" is recorded`},
		{"a link", "", `one .*cannot be read`},
	} {
		t.Run("without "+gone.name, func(t *testing.T) {
			h := made.copy()
			h.t = t
			path := filepath.Join(h.dir, gone.path)
			if gone.path == "" {
				path = filepath.Join(h.dir, bundleLog)
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if gone.path == "" {
				if err := os.Symlink(filepath.Join(made.dir, bundleLog), path); err != nil {
					t.Fatal(err)
				}
			}
			out, err := h.bottle("audit", "verify", "one")
			if err == nil || !regexp.MustCompile(gone.words).MatchString(out) {
				t.Errorf("%v: %s\nwant %s", err, out, gone.words)
			}
		})
	}
	t.Run("removed by the operator", func(t *testing.T) {
		h := made.copy()
		h.t = t
		if out, err := h.bottle("cleanup", "--ended", "--yes"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if out, err := h.bottle("audit", "verify"); err != nil || strings.Count(out, "removed ") != 2 {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// Programs that write to the operator's log at the same time lose nothing.
func TestOperatorLogTakesManyAtOnce(t *testing.T) {
	h := auditHome{t, t.TempDir()}
	if err := os.Chmod(h.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const each = 8
	var running []*exec.Cmd
	for i := range each {
		label := fmt.Sprintf("gone-%d", i)
		if err := os.MkdirAll(filepath.Join(h.dir, "state", label), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // each sees all of them; a bottle is removed once
		cmd := exec.Command(filepath.Join(programs, "bottle"), "cleanup", "--ended", "--yes")
		cmd.Env = append(os.Environ(), "CLAUDE_BOTTLE_HOME="+h.dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	for _, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	if out, err := h.bottle("audit", "verify"); err != nil || strings.Contains(out, "BROKEN") {
		t.Errorf("%v: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(h.dir, operatorLog))
	if err != nil || bytes.Count(text, []byte(`"action":"cleanup"`)) < each {
		t.Errorf("%v: %s", err, text)
	}
}
