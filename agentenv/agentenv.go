// Package agentenv makes the agent's environment: the variables and files that
// lead every tool in the bottle to the bundle, and coding agents to the
// supervise role. It holds nothing that the agent must not see.
package agentenv

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Where things are in the agent's world.
const (
	Home      = "/home/agent"
	Workspace = "/workspace"
	// Bundle is the system's file of trusted roots, the bottle's CA among them;
	// CACert holds the bottle's CA alone.
	Bundle = "/etc/ssl/certs/ca-certificates.crt"
	CACert = "/etc/ssl/certs/claude-bottle-ca.pem"

	proxyURL     = "http://egress:9099"
	superviseURL = "http://supervise:9100/mcp"
	gitGateURL   = "http://git-gate:9420/"
	noProxy      = "localhost,127.0.0.1,git-gate,supervise"
	gitConfig    = "/etc/gitconfig"
)

// toolTimeout is how long a client lets a tool of supervise wait, in seconds:
// longer than any wait the role allows.
const toolTimeout = 3600

// File is a file of the agent's world.
type File struct {
	// Path is absolute.
	Path    string
	Mode    uint32
	Content []byte
}

// Options of Variables and Files.
type Options struct {
	Slug string
	// Env are the variables of the bottle file.
	Env map[string]string
	// Term is the operator's terminal type; empty = xterm-256color.
	Term string
	// Roots are the host's trusted roots in PEM, see HostRoots; CACert is the
	// bottle's CA.
	Roots, CACert []byte
	// Supervise registers the supervise role with coding agents.
	Supervise bool
	// Repos are the upstream URLs of git-gate's repositories by name.
	Repos map[string]string
	// UserName and UserEmail are who commits are by; may be empty.
	UserName, UserEmail string
	// Prompt is the agent file's body, Skills the skills' files, their paths
	// below the skills folder ("review/SKILL.md").
	Prompt string
	Skills []File
}

// Reserved tells whether the bottle sets the variable itself, so that a bottle
// file must not.
func Reserved(name string) bool {
	_, ok := fixed(Options{})[name]
	return ok
}

// Variables returns the agent's environment, NAME=value, sorted. The bottle
// file's values replace the defaults, not what Reserved names.
func Variables(o Options) []string {
	env := map[string]string{
		"PATH":  Home + "/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/go/bin",
		"TERM":  "xterm-256color",
		"LANG":  "C.UTF-8",
		"SHELL": "/bin/bash",
		// Node's own fetch asks no proxy unless told to.
		"NODE_USE_ENV_PROXY": "1",
		// A call of a blocking tool waits for a person: neither an idle limit
		// nor the background may cut it short.
		"CLAUDE_CODE_MCP_AUTO_BACKGROUND_MS": "0",
		"CLAUDE_CODE_MCP_TOOL_IDLE_TIMEOUT":  "0",
		"MCP_TOOL_TIMEOUT":                   strconv.Itoa(toolTimeout * 1000),
		// Update checks, telemetry and catalogues would only be refused.
		"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC":             "1",
		"CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1",
	}
	if o.Term != "" {
		env["TERM"] = o.Term
	}
	maps.Copy(env, o.Env)
	maps.Copy(env, fixed(o))
	list := make([]string, 0, len(env))
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

// fixed are the variables without which the bottle would not work.
func fixed(o Options) map[string]string {
	env := map[string]string{
		"HOME":                Home,
		"USER":                "agent",
		"LOGNAME":             "agent",
		"CLAUDE_BOTTLE_SLUG":  o.Slug,
		"GIT_CONFIG_SYSTEM":   gitConfig,
		"NODE_EXTRA_CA_CERTS": CACert,
	}
	for _, name := range []string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"} {
		env[name] = Bundle
	}
	for name, value := range map[string]string{"HTTP_PROXY": proxyURL, "HTTPS_PROXY": proxyURL, "NO_PROXY": noProxy} {
		env[name], env[strings.ToLower(name)] = value, value
	}
	return env
}

// Files returns the files of the agent's world.
func Files(o Options) ([]File, error) {
	files := []File{
		{Bundle, 0o644, mergeRoots(o.Roots, o.CACert)},
		{CACert, 0o644, o.CACert},
	}
	git, err := gitFile(o)
	if err != nil {
		return nil, err
	}
	files = append(files, git)
	claude, err := claudeFiles(o)
	if err != nil {
		return nil, err
	}
	codex, err := codexFiles(o)
	if err != nil {
		return nil, err
	}
	return slices.Concat(files, claude, codex), nil
}
