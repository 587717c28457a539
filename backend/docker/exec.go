package docker

import (
	"context"

	"github.com/moby/moby/client"

	"github.com/claude-bottle/claude-bottle/backend"
)

// execInside runs a further command in an agent's container, with the agent's
// environment.
func execInside(ctx context.Context, api *client.Client, container string, command []string, s backend.Stdio) (int, error) {
	return inside(ctx, api, container, client.ExecCreateOptions{
		Cmd: append([]string{initInside, "exec", "--"}, command...), WorkingDir: "/workspace",
	}, s, nil)
}
