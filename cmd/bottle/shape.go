package main

import (
	"os"
	"strings"

	"github.com/claude-bottle/claude-bottle/backend/docker"
	"github.com/claude-bottle/claude-bottle/state"
)

// dockerOptions are the docker backend's, from the environment.
func dockerOptions(home state.Home) (docker.Options, error) {
	split, err := isSplit(os.Getenv("CLAUDE_BOTTLE_SIDECAR_BUNDLE"))
	return docker.Options{
		Home: home, Image: os.Getenv("CLAUDE_BOTTLE_SIDECAR_IMAGE"), AgentImage: os.Getenv("CLAUDE_BOTTLE_AGENT_IMAGE"),
		BundleEnv: bundleEnv(), Split: split,
	}, err
}

// isSplit reads CLAUDE_BOTTLE_SIDECAR_BUNDLE: whether each role has a container
// of its own.
func isSplit(value string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "0", "false", "no", "off":
		return true, nil
	case "", "1", "true", "yes", "on":
		return false, nil
	}
	return false, errUnknownShape(value)
}
