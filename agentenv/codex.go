package agentenv

import (
	"encoding/json"

	"github.com/pelletier/go-toml/v2"
)

// codexFiles are what Codex reads: its configuration with the supervise role as
// an MCP server and the workspace trusted, the prompt, and the skills.
func codexFiles(o Options) ([]File, error) {
	config, err := toml.Marshal(codexConfig(o))
	if err != nil {
		return nil, err
	}
	files := []File{
		{Home + "/.codex/config.toml", 0o600, config},
		{Home + "/.codex/AGENTS.md", 0o644, instructions(o)},
	}
	if key := o.Env["OPENAI_API_KEY"]; key != "" {
		// Codex takes its key from a login, which writes this file.
		login, err := json.Marshal(map[string]string{"OPENAI_API_KEY": key})
		if err != nil {
			return nil, err
		}
		files = append(files, File{Home + "/.codex/auth.json", 0o600, login})
	}
	return append(files, skillFiles(Home+"/.agents/skills", o.Skills)...), nil
}

func codexConfig(o Options) map[string]any {
	api := o.Env["OPENAI_BASE_URL"]
	if api == "" {
		api = "https://api.openai.com/v1"
	}
	config := map[string]any{
		// The built-in provider tries WebSockets for ten seconds before each
		// session; the same address with requests alone.
		"model_provider": "egress",
		"model_providers": map[string]any{"egress": map[string]any{
			"name": "OpenAI", "base_url": api, "wire_api": "responses",
			"requires_openai_auth": true, "supports_websockets": false,
		}},
		"projects": map[string]any{Workspace: map[string]any{"trust_level": "trusted"}},
		// Update checks, telemetry and catalogues would only be refused.
		"check_for_update_on_startup": false,
		"analytics":                   map[string]any{"enabled": false},
		"feedback":                    map[string]any{"enabled": false},
		"features":                    map[string]any{"apps": false, "plugins": false},
	}
	if o.Supervise {
		config["mcp_servers"] = map[string]any{"supervise": map[string]any{
			"url": superviseURL, "startup_timeout_sec": 20, "tool_timeout_sec": toolTimeout,
		}}
	}
	return config
}
