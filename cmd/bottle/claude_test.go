package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// claudeBottle is examples/claude.md as an operator has it, without the
// firewall and the engine that may be installed here.
const claudeBottle = "---\nextends: claude\npipelock: off\nbackend: namespace\n---\n"

// claudeSetting is an operator's machine with Claude Code and a model.
type claudeSetting struct {
	home, workspace string
	env             []string
	net             *internet
	model           *model
	guide           atomic.Int64 // requests that the guide's host got
}

const (
	guideText   = "The guide says: forty-two."
	placeholder = "the-key-is-held-outside-the-bottle"
)

func newClaudeSetting(t *testing.T, script ...call) *claudeSetting {
	t.Helper()
	s := &claudeSetting{
		home: t.TempDir(), workspace: t.TempDir(),
		model: &model{token: "sk-ant-api03-the-real-key-of-the-operator", script: script},
	}
	s.net = newInternet(t, map[string]http.Handler{
		"api.anthropic.com": s.model,
		"guide.example.org": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			s.guide.Add(1)
			w.Write([]byte(guideText))
		}),
	})
	s.env = slices.Concat(os.Environ(), s.net.env(),
		[]string{"CLAUDE_BOTTLE_HOME=" + s.home, "ANTHROPIC_API_KEY=" + s.model.token, "SUPERVISE_WAIT=5m"})
	example, err := os.ReadFile("../../examples/claude.md")
	if err != nil {
		t.Fatal(err)
	}
	bottles := filepath.Join(s.home, "bottles")
	if err := errors.Join(
		os.MkdirAll(bottles, 0o700),
		os.WriteFile(filepath.Join(bottles, "claude.md"), example, 0o600),
		os.WriteFile(filepath.Join(bottles, "test.md"), []byte(claudeBottle), 0o600),
		os.Chmod(s.workspace, 0o755),
	); err != nil {
		t.Fatal(err)
	}
	installClaude(t, filepath.Join(s.workspace, "claude"))
	return s
}

// installClaude puts Claude Code where a bottle sees it: below the workspace.
func installClaude(t *testing.T, to string) {
	t.Helper()
	machine := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	from := "../../.tools/claude/node_modules/@anthropic-ai/claude-code-linux-" + machine + "/claude"
	if err := os.Link(from, to); err == nil {
		return
	}
	content, err := os.ReadFile(from) // on another disk, or not there
	if err != nil {
		t.Fatalf("Claude Code is not installed: run scripts/test-deps (%v)", err)
	}
	if err := os.WriteFile(to, content, 0o755); err != nil {
		t.Fatal(err)
	}
}

// bottle is a command of the operator's.
func (s *claudeSetting) bottle(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(programs, "bottle"), args...)
	cmd.Env, cmd.Dir = s.env, s.workspace
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// TestClaudeCodeFindsSupervise: nothing has to be set up inside, and Claude
// Code asks nothing before it starts.
func TestClaudeCodeFindsSupervise(t *testing.T) {
	s := newClaudeSetting(t)
	out, err := s.bottle(t.Context(), "up", "--bottle", "test", "--label", "list", "--", "/workspace/claude", "mcp", "list").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "supervise: http://supervise:9100/mcp (HTTP) - ✔ Connected") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestClaudeCodeAsksAndReaches: Claude Code is refused a host, asks for it,
// the operator says yes, and it reaches the host.
func TestClaudeCodeAsksAndReaches(t *testing.T) {
	const fetch = "curl -sS --max-time 20 https://guide.example.org/page; env"
	s := newClaudeSetting(t,
		call{"Bash", map[string]any{"command": fetch, "description": "Read the guide"}},
		call{"mcp__supervise__egress-block", map[string]any{"host": "guide.example.org", "methods": []string{"GET"}, "justification": "The task is to read the guide."}},
		call{"Bash", map[string]any{"command": fetch, "description": "Read the guide again"}},
	)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var out, stderr bytes.Buffer
	up := s.bottle(ctx, "up", "--bottle", "test", "--label", "asks", "--",
		"/workspace/claude", "-p", "Tell me what the guide says.", "--dangerously-skip-permissions", "--output-format", "json")
	up.Stdout, up.Stderr = &out, &stderr
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	var failed error
	go func() {
		failed = up.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		if <-ended; t.Failed() {
			t.Logf("%v\n%s\n%s", failed, &out, &stderr)
		}
	})

	id := s.proposal(t, ended)
	if s.guide.Load() != 0 || s.net.reached("guide.example.org:443") {
		t.Error("the host was reached before anybody allowed it")
	}
	if said, err := s.bottle(ctx, "proposals", "approve", id).CombinedOutput(); err != nil {
		t.Errorf("approve: %v\n%s", err, said)
	}
	if <-ended; failed != nil {
		t.Fatal("Claude Code failed")
	}

	refused, results, offered := s.model.heard()
	if len(results) != 3 {
		t.Fatalf("the model saw %d results: %q", len(results), results)
	}
	for i, want := range []string{"403", "approved", guideText} {
		if !strings.Contains(results[i], want) {
			t.Errorf("result %d holds no %q: %s", i, want, results[i])
		}
	}
	for _, tool := range []string{"egress-block", "pipelock-block", "capability-block", "list-egress-routes", "check-proposal"} {
		if !offered["mcp__supervise__"+tool] {
			t.Errorf("the model was not offered %s at once: %v", tool, offered)
		}
	}
	if s.guide.Load() != 1 {
		t.Errorf("the guide's host got %d requests", s.guide.Load())
	}
	if len(refused) > 0 {
		t.Errorf("requests without the real key: %q", refused)
	}
	if all := strings.Join(results, "") + out.String(); strings.Contains(all, s.model.token) || !strings.Contains(all, placeholder) {
		t.Error("the agent holds the key, or not the placeholder")
	}
	if got := s.net.authorities(); !slices.Equal(got, []string{"api.anthropic.com:443", "guide.example.org:443"}) {
		t.Errorf("reached %q", got)
	}
}

// proposal waits for the agent's one and returns its id.
func (s *claudeSetting) proposal(t *testing.T, ended <-chan struct{}) string {
	t.Helper()
	for {
		select {
		case <-ended:
			t.Fatal("Claude Code ended before it asked")
		case <-time.After(50 * time.Millisecond):
		}
		out, err := s.bottle(t.Context(), "proposals", "ls", "--json").Output()
		if err != nil {
			t.Fatal(err)
		}
		var open []struct{ ID, Kind string }
		if err := json.Unmarshal(out, &open); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if len(open) == 0 {
			continue
		}
		if len(open) > 1 || open[0].Kind != "egress-block" {
			t.Fatalf("more waits than Claude Code asked for: %s", out)
		}
		return open[0].ID
	}
}
