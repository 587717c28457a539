package agentenv

import (
	"encoding/json"
	"fmt"
)

// codexFiles are what Codex reads: its configuration with the supervise role as
// an MCP server and the workspace trusted, the prompt, and the skills.
func codexFiles(o Options) ([]File, error) {
	config := fmt.Sprintf("[projects.%q]\ntrust_level = \"trusted\"\n", Workspace)
	if o.Supervise {
		config += fmt.Sprintf("\n[mcp_servers.supervise]\nurl = %q\nstartup_timeout_sec = 20\ntool_timeout_sec = %d\n", superviseURL, toolTimeout)
	}
	files := []File{
		{Home + "/.codex/config.toml", 0o600, []byte(config)},
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
