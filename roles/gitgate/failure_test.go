package gitgate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ready returns a push of a new commit to refs/heads/new, byte for byte, that
// would pass.
func (g *gate) ready(t *testing.T) (body string) {
	t.Helper()
	dir := g.cloned(t)
	base := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
	commit(t, dir, map[string]string{"a": strings.Repeat("text\n", 1000)})
	tip := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
	return line(none+" "+tip+" refs/heads/new"+wanted) + "0000" + packed(t, dir, tip+"\n^"+base+"\n")
}

func (g *gate) postRefused(t *testing.T, body string, want string) {
	t.Helper()
	before := g.state(t)
	status, answer := g.post(t, body)
	if status != 200 || !strings.Contains(answer, "ng refs/heads/new ") || !strings.Contains(answer, want) {
		t.Errorf("%d %q, want %q", status, answer, want)
	}
	if g.state(t) != before {
		t.Error("the upstream changed")
	}
}

func TestLostUpstream(t *testing.T) {
	t.Parallel()
	g := startGateWith(t, "ci_paths: allow\n", nil, nil)
	body := g.ready(t)
	g.sshd.Stop()
	g.postRefused(t, body, "git-gate: upstream: ")
}

// TestUpstreamThatDies loses it when it has all of the push and has not yet
// acted on it.
func TestUpstreamThatDies(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	body := g.ready(t)
	hook := filepath.Join(g.upstream, "hooks", "pre-receive")
	if err := os.WriteFile(hook, []byte("#!/bin/sh\nkill -9 $PPID\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	before := g.refs(t)
	if _, answer := g.post(t, body); !strings.Contains(answer, "git-gate: upstream: it hung up") {
		t.Errorf("%q", answer)
	}
	if g.refs(t) != before {
		t.Error("the upstream changed")
	}
	if err := os.Remove(hook); err != nil {
		t.Fatal(err)
	}
	if _, answer := g.post(t, body); !strings.Contains(answer, "ok refs/heads/new") {
		t.Errorf("the same push later: %q", answer)
	}
}

func TestMovedReference(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	dir := g.cloned(t)
	base := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
	commit(t, dir, map[string]string{"a": "b"})
	tip := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
	body := line(base+" "+tip+" refs/heads/main"+wanted) + "0000" + packed(t, dir, tip+"\n^"+base+"\n")
	// Meanwhile somebody else pushes.
	other := g.cloned(t)
	commit(t, other, map[string]string{"c": "d"})
	git(t, other, "push", "-q", g.upstream, "HEAD:main")
	before := g.refs(t)
	if _, answer := g.post(t, body); !strings.Contains(answer, "ng refs/heads/main") {
		t.Errorf("%q", answer)
	}
	if g.refs(t) != before {
		t.Error("the upstream changed")
	}
}

func TestClientHangsUp(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	body := g.ready(t)
	before := g.state(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /widgets.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:len(body)-1])
	eventually(t, "the push arrives", func() bool { return g.role.spool.held.Load() == int64(len(body)-1) })
	conn.Close()
	eventually(t, "the push is given up", func() bool { return g.role.spool.held.Load() == 0 })
	if g.state(t) != before {
		t.Error("the upstream changed")
	}
	if _, answer := g.post(t, body); !strings.Contains(answer, "ok refs/heads/new") {
		t.Errorf("the same push in whole: %q", answer)
	}
}

// TestClientHangsUpWhileHeld: an approval that comes later moves nothing.
func TestClientHangsUpWhileHeld(t *testing.T) {
	t.Parallel()
	g := startGateWith(t, "", nil, func(c *Config) { c.Hold = time.Minute })
	dir, q := g.cloned(t), g.operator(t)
	base := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
	commit(t, dir, map[string]string{"Jenkinsfile": "node {}"})
	tip := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
	body := line(none+" "+tip+" refs/heads/new"+wanted) + "0000" + packed(t, dir, tip+"\n^"+base+"\n")
	before := g.state(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /widgets.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	var id string
	eventually(t, "the operator is asked", func() bool {
		entries, _, err := q.List()
		if err == nil && len(entries) > 0 {
			id = entries[0].ID
		}
		return id != ""
	})
	conn.Close()
	eventually(t, "the push is given up", func() bool { return g.role.spool.held.Load() == 0 })
	respondApproved(t, q, id)
	if g.state(t) != before {
		t.Error("the upstream changed")
	}
	g.passes(t, dir, "HEAD:refs/heads/new")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, want string
		set        func(*Config)
	}{
		{"time", "limit: judging the push takes too long", func(c *Config) { c.Limits.Time = 1 }},
		{"bytes", "limit: the push is too large", func(c *Config) { c.Limits.PushBytes = 300 }},
		{"bytes in all", "beside the others", func(c *Config) { c.Limits.AllBytes = 300 }},
		{"objects", "limit", func(c *Config) { c.Limits.Pack.Objects = 2 }},
		{"size of an object", "limit", func(c *Config) { c.Limits.Pack.ObjectSize = 4000 }},
		{"size of them all", "limit", func(c *Config) { c.Limits.Pack.Inflated = 5000 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := startGateWith(t, "", nil, test.set)
			g.postRefused(t, g.ready(t), test.want)
		})
	}
	t.Run("no folder for pushes", func(t *testing.T) {
		g := startGateWith(t, "", nil, func(c *Config) { c.SpoolDir += "/missing" })
		if status, answer := g.post(t, g.ready(t)); status != 403 || !strings.Contains(answer, "limit: no file can be made") {
			t.Errorf("%d %q", status, answer)
		}
	})
	t.Run("control", func(t *testing.T) {
		g := startGate(t, nil)
		if _, answer := g.post(t, g.ready(t)); !strings.Contains(answer, "ok refs/heads/new") {
			t.Errorf("%q", answer)
		}
	})
}

// TestJudgementThatFails: a panic of what judges is a refusal.
func TestJudgementThatFails(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	request := &pushRequest{}
	p := &push{Role: g.role, request: request, report: &report{w: httptest.NewRecorder(), request: request, redact: g.role.scanner.Redact}}
	refused, questions := p.guarded(t.Context(), func(context.Context) ([]refusal, []question) { panic("an index out of range") })
	if len(refused) != 1 || len(questions) != 0 {
		t.Errorf("%v %v", refused, questions)
	}
	if refused, _ := p.guarded(t.Context(), func(context.Context) ([]refusal, []question) { return nil, nil }); len(refused) != 0 {
		t.Errorf("control: %v", refused)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &spooled{file: full, spool: &spool{most: 100, mostInAll: 100}}
	if _, err := s.Write([]byte("x")); !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
	if err := s.Close(); err != nil || s.spool.held.Load() != 0 {
		t.Errorf("closed: %v, %d held", err, s.spool.held.Load())
	}
}

// TestNoAuditNoPush: what cannot be written down does not happen.
func TestNoAuditNoPush(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	body := g.ready(t)
	if err := g.log.Close(); err != nil {
		t.Fatal(err)
	}
	g.postRefused(t, body, "audit: the audit log cannot be written")
	if out, err := tryGit(t, "", "ls-remote", g.url); err == nil {
		t.Errorf("a fetch passes: %s", out)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never comes to pass that %s", what)
		}
	}
}
