package agentenv_test

import (
	"crypto/x509"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"github.com/claude-bottle/claude-bottle/agentenv"
	"github.com/claude-bottle/claude-bottle/internal/pkitest"
)

func file(t *testing.T, files []agentenv.File, path string) []byte {
	t.Helper()
	for _, f := range files {
		if f.Path == path {
			return f.Content
		}
	}
	t.Fatalf("no file %s", path)
	return nil
}

func TestVariables(t *testing.T) {
	env := map[string]string{}
	for _, v := range agentenv.Variables(agentenv.Options{
		Slug: "demo-1", Term: "screen",
		Env: map[string]string{"LANG": "de_DE.UTF-8", "MINE": "a=b", "HTTP_PROXY": "http://evil.test"},
	}) {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	for name, want := range map[string]string{
		"HTTP_PROXY": "http://egress:9099", "HTTPS_PROXY": "http://egress:9099",
		"http_proxy": "http://egress:9099", "https_proxy": "http://egress:9099",
		"NO_PROXY": "localhost,127.0.0.1,git-gate,supervise", "no_proxy": "localhost,127.0.0.1,git-gate,supervise",
		"SSL_CERT_FILE": agentenv.Bundle, "REQUESTS_CA_BUNDLE": agentenv.Bundle, "CURL_CA_BUNDLE": agentenv.Bundle,
		"GIT_SSL_CAINFO": agentenv.Bundle, "NODE_EXTRA_CA_CERTS": agentenv.CACert,
		"HOME": "/home/agent", "USER": "agent", "TERM": "screen", "LANG": "de_DE.UTF-8", "MINE": "a=b",
		"CLAUDE_BOTTLE_SLUG": "demo-1", "CLAUDE_CODE_MCP_AUTO_BACKGROUND_MS": "0", "CLAUDE_CODE_MCP_TOOL_IDLE_TIMEOUT": "0",
	} {
		if env[name] != want {
			t.Errorf("%s=%q, want %q", name, env[name], want)
		}
	}
	if !agentenv.Reserved("https_proxy") || agentenv.Reserved("LANG") {
		t.Error("reserved are the variables that the bottle needs, and no others")
	}
}

func TestGitUsesTheGate(t *testing.T) {
	files, err := agentenv.Files(agentenv.Options{
		UserName: `Ann "the" Agent\`, UserEmail: "ann@example.com",
		Repos: map[string]string{
			"widgets": "ssh://git@github.com:22/acme/widgets.git",
			"widget":  "git@github.com:acme/widget.git",
			"inner":   "ssh://builder@forge.test:2222/team/inner.git",
			"web":     "https://forge.test:8443/team/web",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "gitconfig")
	if err := os.WriteFile(config, file(t, files, "/etc/gitconfig"), 0o600); err != nil {
		t.Fatal(err)
	}
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = t.TempDir()
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_SYSTEM=" + config, "GIT_CONFIG_GLOBAL=/dev/null", "HOME=/nonexistent"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSuffix(string(out), "\n")
	}
	gate := func(name string) string { return "http://git-gate:9420/" + name + ".git" }
	for url, want := range map[string]string{
		"ssh://git@github.com/acme/widgets.git":        gate("widgets"),
		"ssh://git@github.com:22/acme/widgets.git":     gate("widgets"),
		"ssh://github.com/acme/widgets":                gate("widgets"),
		"git@github.com:acme/widgets.git":              gate("widgets"),
		"git@github.com:acme/widgets":                  gate("widgets"),
		"git@github.com:/acme/widgets.git":             gate("widgets"),
		"github.com:acme/widgets.git":                  gate("widgets"),
		"https://github.com/acme/widgets.git":          gate("widgets"),
		"https://github.com/acme/widgets":              gate("widgets"),
		"https://github.com/acme/widgets/":             gate("widgets"),
		"https://git@github.com/acme/widgets.git":      gate("widgets"),
		"https://github.com:443/acme/widgets.git":      gate("widgets"),
		"https://github.com/acme/widget.git":           gate("widget"),
		"git@github.com:acme/widget":                   gate("widget"),
		"ssh://builder@forge.test:2222/team/inner.git": gate("inner"),
		"ssh://forge.test:2222/team/inner":             gate("inner"),
		"https://forge.test/team/inner.git":            gate("inner"),
		"https://forge.test:8443/team/web.git":         gate("web"),
		"git@forge.test:team/web":                      gate("web"),
		// Not declared: as they are.
		"https://github.com/other/widgets.git": "https://github.com/other/widgets.git",
		"git@gitlab.com:acme/widgets.git":      "git@gitlab.com:acme/widgets.git",
		"ssh://git@github.com:2222/acme/x.git": "ssh://git@github.com:2222/acme/x.git",
	} {
		if got := git("ls-remote", "--get-url", url); got != want {
			t.Errorf("%s became %s, want %s", url, got, want)
		}
	}
	if got := git("config", "user.name"); got != `Ann "the" Agent\` {
		t.Errorf("user.name is %q", got)
	}
}

func TestBundleHoldsHostRootsAndOwnCA(t *testing.T) {
	host, err := pkitest.New("host")
	if err != nil {
		t.Fatal(err)
	}
	own, err := pkitest.New("bottle")
	if err != nil {
		t.Fatal(err)
	}
	files, err := agentenv.Files(agentenv.Options{Roots: []byte(strings.TrimSpace(string(host.CertPEM()))), CACert: own.CertPEM()})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]bool{agentenv.Bundle: {true, true}, agentenv.CACert: {false, true}} {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(file(t, files, path))
		for i, ca := range []*pkitest.CA{host, own} {
			_, err := ca.Certificate.Verify(x509.VerifyOptions{Roots: pool})
			if (err == nil) != want[i] {
				t.Errorf("%s trusts authority %d: %v", path, i, err)
			}
		}
	}
}

func TestSuperviseIsRegistered(t *testing.T) {
	for _, supervise := range []bool{true, false} {
		files, err := agentenv.Files(agentenv.Options{
			Supervise: supervise, Prompt: "Be brief.", Env: map[string]string{"ANTHROPIC_API_KEY": "held-by-the-bottle-not-here"},
			Skills: []agentenv.File{{Path: "review/run.sh", Mode: 0o755, Content: []byte("#!/bin/sh\n")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		var claude struct {
			MCPServers map[string]struct {
				Type, URL  string
				Timeout    int
				AlwaysLoad bool
			}
			CustomAPIKeyResponses struct{ Approved []string }
		}
		if err := json.Unmarshal(file(t, files, "/home/agent/.claude.json"), &claude); err != nil {
			t.Fatal(err)
		}
		var codex struct {
			MCPServers map[string]struct {
				URL         string `toml:"url"`
				ToolTimeout int    `toml:"tool_timeout_sec"`
			} `toml:"mcp_servers"`
			Projects map[string]struct {
				TrustLevel string `toml:"trust_level"`
			} `toml:"projects"`
			Provider  string `toml:"model_provider"`
			Providers map[string]struct {
				URL        string `toml:"base_url"`
				WebSockets bool   `toml:"supports_websockets"`
			} `toml:"model_providers"`
		}
		if err := toml.Unmarshal(file(t, files, "/home/agent/.codex/config.toml"), &codex); err != nil {
			t.Fatal(err)
		}
		a, forClaude := claude.MCPServers["supervise"]
		b, forCodex := codex.MCPServers["supervise"]
		if forClaude != supervise || forCodex != supervise {
			t.Errorf("supervise %v: registered %v, %v", supervise, forClaude, forCodex)
		}
		if supervise && (a.Type != "http" || a.URL != "http://supervise:9100/mcp" || b.URL != a.URL || a.Timeout != b.ToolTimeout*1000 || !a.AlwaysLoad || b.ToolTimeout < 600) {
			t.Errorf("Claude Code %+v, Codex %+v", a, b)
		}
		var settings map[string]bool
		if err := json.Unmarshal(file(t, files, "/home/agent/.claude/settings.json"), &settings); err != nil || !settings["skipDangerousModePermissionPrompt"] {
			t.Errorf("Claude Code would ask whether it may run unasked: %v, %v", settings, err)
		}
		if p, ok := codex.Providers[codex.Provider]; !ok || p.URL != "https://api.openai.com/v1" || p.WebSockets {
			t.Errorf("Codex would talk to %q: %+v", codex.Provider, codex.Providers)
		}
		if codex.Projects["/workspace"].TrustLevel != "trusted" || len(claude.CustomAPIKeyResponses.Approved) != 1 {
			t.Error("a client would ask before it starts")
		}
		for _, path := range []string{"/home/agent/.claude/CLAUDE.md", "/home/agent/.codex/AGENTS.md"} {
			text := string(file(t, files, path))
			if !strings.Contains(text, "Be brief.") || strings.Contains(text, "check-proposal") != supervise {
				t.Errorf("%s: %s", path, text)
			}
		}
		for _, path := range []string{"/home/agent/.claude/skills/review/run.sh", "/home/agent/.agents/skills/review/run.sh"} {
			if got := string(file(t, files, path)); got != "#!/bin/sh\n" {
				t.Errorf("%s: %q", path, got)
			}
		}
	}
}
