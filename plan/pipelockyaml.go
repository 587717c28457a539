package plan

import (
	"errors"

	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/state"
)

// renderPipelock writes the firewall's configuration for the routes.
func renderPipelock(state.Dir, *routes.Table) ([]byte, error) {
	return nil, errors.New("pipelock: its configuration cannot be rendered")
}
