package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/proposal"
)

// found is no credential of anybody's, but looks like one.
const found = "ghp_" + "Zk3Qn8VxT2LrY7WbM4HsD9CfJ6PgA1Ke" + "0uBt"

// post sends text to the origin as the agent does.
func (w *world) post(text string) (status int, body string) {
	w.t.Helper()
	client := w.agent("egress.sock")
	defer client.CloseIdleConnections()
	response, err := client.Post(w.url("/"), "text/plain", strings.NewReader(text))
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

func TestARefusedSecretIsAskedAbout(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.waitReady()
	queue, err := proposal.Open(w.path("queue"), "tested")
	if err != nil {
		t.Fatal(err)
	}
	defer queue.Close()
	if status, body := w.post("harmless"); status != http.StatusOK || body != "hello" {
		t.Fatalf("a harmless body: %d %s", status, body)
	}
	arrived := w.arrived.Load()
	for range 2 { // the same request is one proposal
		status, body := w.post(found)
		entries, problems, err := queue.List()
		if err != nil || len(problems) > 0 || len(entries) != 1 || entries[0].Kind != proposal.FindingKind {
			t.Fatalf("the queue holds %+v, %v, %v; want one finding (answer %d %s)", entries, problems, err, status, body)
		}
		if status != http.StatusForbidden || !strings.Contains(body, entries[0].ID) {
			t.Errorf("answer %d %s, want 403 that names %s", status, body, entries[0].ID)
		}
		if text := fmt.Sprintf("%s %s %s", entries[0].Justification, entries[0].Rule, entries[0].Request); strings.Contains(text, found) {
			t.Error("the proposal holds the secret")
		}
	}
	if n := w.arrived.Load() - arrived; n != 0 {
		t.Errorf("%d requests with the secret reached the origin", n)
	}
	if n := w.audited("egress", "proposal"); n != 1 {
		t.Errorf("%d proposals in the audit log, want 1", n)
	}

	// What the proposal asks for is what lets the request pass.
	entries, _, _ := queue.List()
	var rule proposal.FindingRule
	if err := json.Unmarshal(entries[0].Rule, &rule); err != nil || rule.Host != originHost {
		t.Fatalf("rule %s: %v", entries[0].Rule, err)
	}
	routes, err := os.ReadFile(w.path("routes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	w.write("routes.yaml", string(routes)+fmt.Sprintf("    findings: [{rule: %s, fingerprint: %q}]\n", rule.Rule, rule.Fingerprint))
	w.signal(syscall.SIGHUP)
	w.waitHealth("the new routes", func(r health.Report) bool { return r.Roles["egress"].Generation == 2 })
	if status, body := w.post(found); status != http.StatusOK || body != "hello" {
		t.Errorf("after the finding was cleared: %d %s", status, body)
	}
	w.stop()
}

func TestWithoutAQueueNobodyIsAsked(t *testing.T) {
	w := newWorld(t, "CLAUDE_BOTTLE_SIDECAR_DAEMONS=egress", "SUPERVISE_QUEUE=")
	w.start()
	w.waitReady()
	if status, body := w.post(found); status != http.StatusForbidden || strings.Contains(body, "proposal") {
		t.Errorf("answer %d %s, want 403 without a proposal", status, body)
	}
	if n := w.arrived.Load(); n != 0 {
		t.Errorf("%d requests reached the origin", n)
	}
	w.stop()
}
