package agentenv

import (
	"encoding/json"
	"path"
)

// claudeSettings are for Claude Code as a user's own. Whoever starts it without
// permission checks means it, because the bottle holds; and which hosts may be
// fetched from is for egress to say, not for a list at the provider.
const claudeSettings = `{
  "skipDangerousModePermissionPrompt": true,
  "skipWebFetchPreflight": true
}
`

// claudeFiles are what Claude Code reads: its state with the supervise role as
// an MCP server and the workspace trusted, its settings, the prompt, and the
// skills.
func claudeFiles(o Options) ([]File, error) {
	state := map[string]any{
		"hasCompletedOnboarding": true,
		"projects": map[string]any{
			Workspace: map[string]any{"hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true},
		},
	}
	if o.Supervise {
		state["mcpServers"] = map[string]any{
			// Tools that a refused agent needs must not have to be searched for.
			"supervise": map[string]any{"type": "http", "url": superviseURL, "timeout": toolTimeout * 1000, "alwaysLoad": true},
		}
	}
	if key := o.Env["ANTHROPIC_API_KEY"]; key != "" {
		// The operator put the variable there; Claude Code need not ask about it.
		state["customApiKeyResponses"] = map[string]any{"approved": []string{key[max(0, len(key)-20):]}}
	}
	content, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return nil, err
	}
	files := []File{
		{Home + "/.claude.json", 0o600, append(content, '\n')},
		{Home + "/.claude/settings.json", 0o644, []byte(claudeSettings)},
		{Home + "/.claude/CLAUDE.md", 0o644, instructions(o)},
	}
	return append(files, skillFiles(Home+"/.claude/skills", o.Skills)...), nil
}

func skillFiles(dir string, skills []File) []File {
	files := make([]File, len(skills))
	for i, f := range skills {
		files[i] = File{path.Join(dir, f.Path), f.Mode, f.Content}
	}
	return files
}
