package main

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/claude-bottle/claude-bottle/audit"
)

func TestWithoutAKnownRoleItIdles(t *testing.T) {
	for name, asPID1 := range map[string]bool{"as a child": false, "as PID 1": true} {
		t.Run(name, func(t *testing.T) {
			p := newBundle(t, "CLAUDE_BOTTLE_SIDECAR_DAEMONS=mitm,")
			if asPID1 {
				p.asPID1()
			}
			p.start()
			p.waitReady()
			for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGPIPE} {
				p.signal(s)
			}
			if status, body := get(over(p.path("health.sock")), "http://bundle/healthz"); status != 200 || body != `{"ready":true,"roles":{}}`+"\n" {
				t.Errorf("health: %d %s", status, body)
			}
			if status, _ := get(over(p.path("health.sock")), "http://bundle/metrics"); status != 200 {
				t.Errorf("metrics: %d", status)
			}
			p.stop()
			if _, err := os.Stat(p.path("health.sock")); err == nil {
				t.Error("the health socket is still there")
			}
			warned := false
			for _, line := range p.log.lines(t) {
				warned = warned || line["level"] == "WARN" && line["name"] == "mitm"
			}
			if !warned {
				t.Error("no warning about the unknown role")
			}
		})
	}
}

func TestCommands(t *testing.T) {
	p := start(t, "CLAUDE_BOTTLE_SIDECAR_DAEMONS=")
	p.waitReady()
	for _, c := range []struct {
		args, health string
		code         int
		say          string
	}{
		{"health", "unix:" + p.path("health.sock"), 0, "ready\n"},
		{"health --json", "unix:" + p.path("health.sock"), 0, `{"ready":true,"roles":{}}`},
		{"health", "unix:" + p.path("none.sock"), 1, "none.sock"},
		{"health --yaml", "", 2, "yaml"},
		{"version", "", 0, "sidecars test\n"},
		{"-h", "", 0, "EGRESS_ROUTES"},
		{"helath", "", 2, "helath"},
	} {
		t.Run(c.args, func(t *testing.T) {
			cmd := exec.Command(sidecarsBin, strings.Fields(c.args)...)
			cmd.Env = []string{"CLAUDE_BOTTLE_HEALTH_LISTEN=" + c.health, "GORACE=atexit_sleep_ms=0"}
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.say) {
				t.Errorf("exit code %d, want %d; said %q, want %q in it", code, c.code, out, c.say)
			}
		})
	}
}

func TestItRefusesToStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	readable := t.TempDir() + "/secrets"
	if err := os.WriteFile(readable, []byte("a-known-secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	gitGate := "CLAUDE_BOTTLE_SIDECAR_DAEMONS=git-gate"
	for _, c := range []struct {
		name    string
		environ []string
		words   []string
	}{
		{"health port in use", []string{"CLAUDE_BOTTLE_HEALTH_LISTEN=" + taken.Addr().String()}, []string{"CLAUDE_BOTTLE_HEALTH_LISTEN", taken.Addr().String()}},
		{"role port in use", []string{gitGate, "GIT_GATE_LISTEN=" + taken.Addr().String()}, []string{"GIT_GATE_LISTEN", taken.Addr().String()}},
		{"no such address", []string{gitGate, "GIT_GATE_LISTEN=203.0.113.1:1"}, []string{"GIT_GATE_LISTEN"}},
		{"malformed head of the other chain", []string{"CLAUDE_BOTTLE_OPERATOR_HEAD=17:x"}, []string{"CLAUDE_BOTTLE_OPERATOR_HEAD"}},
		{"malformed number", []string{"CLAUDE_BOTTLE_MAX_CRASHES=x"}, []string{"CLAUDE_BOTTLE_MAX_CRASHES"}},
		{"secrets that others may read", []string{"CLAUDE_BOTTLE_SECRETS=" + readable}, []string{"CLAUDE_BOTTLE_SECRETS", "chmod 600"}},
		{"secrets that are missing", []string{"CLAUDE_BOTTLE_SECRETS=/nonexistent"}, []string{"CLAUDE_BOTTLE_SECRETS"}},
		{"short token", []string{"EGRESS_TOKEN_4=short"}, []string{"EGRESS_TOKEN_4"}},
		{"no place for the audit log", []string{gitGate, "CLAUDE_BOTTLE_AUDIT=/dev/null/x"}, []string{"CLAUDE_BOTTLE_AUDIT"}},
		{"no listener handed over", []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=egress"}, []string{"LISTEN_FDS"}},
		{"no place for the queue", []string{"CLAUDE_BOTTLE_SIDECAR_DAEMONS=supervise", "SUPERVISE_LISTEN=127.0.0.1:0", "SUPERVISE_QUEUE=/dev/null/x"}, []string{"queue", "/dev/null"}},
		{"missing git-gate configuration", []string{gitGate, "GIT_GATE_LISTEN=127.0.0.1:0", "GIT_GATE_CONFIG=/nonexistent"}, []string{"/nonexistent"}},
	} {
		t.Run(c.name, func(t *testing.T) { refuse(t, newBundle(t, c.environ...), c.words...) })
	}
}

func TestAGitGateOfItsOwn(t *testing.T) {
	p := newBundle(t, "CLAUDE_BOTTLE_SIDECAR_DAEMONS=git-gate")
	if err := os.WriteFile(p.path("git-gate.yaml"), []byte("repos: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.cmd.Env = append(p.cmd.Env, "GIT_GATE_CONFIG="+p.path("git-gate.yaml"), "GIT_GATE_LISTEN=unix:"+p.path("git.sock"))
	p.start()
	report := p.waitReady()
	if len(report.Roles) != 1 || report.Roles["git-gate"].Generation != 1 {
		t.Errorf("health: %+v", report)
	}
	if status, body := get(over(p.path("git.sock")), "http://git-gate/none.git/info/refs?service=git-upload-pack"); status < 400 || status > 499 {
		t.Errorf("a repository that is not declared: %d %s", status, body)
	}
	p.stop()

	var actions []string
	err := audit.Read(p.path("audit/bundle.jsonl"), func(e audit.Entry) error {
		if e.Slug != "tested" {
			t.Errorf("slug %q", e.Slug)
		}
		if e.Actor == "bundle" {
			actions = append(actions, e.Action)
		}
		return nil
	})
	if err != nil || strings.Join(actions, " ") != "start stop" {
		t.Errorf("the bundle's audit is %v, %v; want start and stop", actions, err)
	}
	if verdict, err := audit.Verify(p.path("audit/bundle.jsonl")); err != nil || verdict.Broken != nil {
		t.Errorf("audit chain: %+v %v", verdict, err)
	}
}

func TestTheStopIsTheLastLineOfTheChain(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.waitReady()
	client := w.agent("egress.sock")
	for range 5 { // all but the first are only counted
		if status, body := get(client, "https://example.com:"+w.port+"/"); status != 0 || !strings.Contains(body, "Forbidden") {
			t.Fatalf("a host that no route names: %d %s", status, body)
		}
	}
	client.CloseIdleConnections()
	w.stop()
	var last audit.Entry
	repeated := 0
	err := audit.Read(w.path("audit/bundle.jsonl"), func(e audit.Entry) error {
		last = e
		if strings.Contains(string(e.Detail), `"repeated":4`) {
			repeated++
		}
		return nil
	})
	if err != nil || last.Actor != "bundle" || last.Action != "stop" || repeated != 1 {
		t.Errorf("the last line is %s of %s, %d lines count the refusals: %v", last.Action, last.Actor, repeated, err)
	}
}
