package compose

import (
	"strings"

	"github.com/claude-bottle/claude-bottle/backend/docker"
)

// header is the comment at the top of a file.
func header(s docker.Shape) string {
	lines := []string{
		"A bottle, for docker compose v2.24 or newer:",
		"    docker compose -f THIS-FILE up -d",
		"    docker compose -f THIS-FILE attach agent",
		"",
		"The agent's command starts when seal has closed its network and the proof from",
		"inside has found nothing to reach but the bundle; otherwise its container ends",
		"with an error. Start the whole bottle, never the agent alone.",
		"",
		"No secret is in this file. Known secrets and the values that were given to the",
		"agent are in files of mode 0600, in memory where this machine has a folder for",
		"that: after a restart of the machine render the bottle anew, with another label.",
		"`bottle ls`, `exec`, `allow`, `proposals` and `down` work with it as with any",
		"other bottle; `bottle down` or `bottle cleanup` removes what was laid out.",
	}
	if names := s.Variables(); len(names) > 0 {
		lines = append(lines, "", "Set these variables, which hold credentials, before you start it:", "    "+strings.Join(names, " "))
	}
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
	return text.String()
}
