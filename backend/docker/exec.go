package docker

import (
	"context"
	"crypto/rand"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/moby/moby/client"

	"github.com/claude-bottle/claude-bottle/backend"
)

// killPatience bounds the telling of a signal to a further command.
const killPatience = 10 * time.Second

// execInside runs a further command in an agent's container, with the agent's
// environment. When ctx ends first the command is killed.
func execInside(ctx context.Context, api *client.Client, container string, command []string, s backend.Stdio) (int, error) {
	token := rand.Text()
	send := func(sig os.Signal) {
		number, ok := sig.(syscall.Signal)
		if !ok {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killPatience)
		defer cancel()
		_, _ = inside(ctx, api, container, client.ExecCreateOptions{
			Cmd: []string{initInside, "signal", token, strconv.Itoa(int(number))},
		}, backend.Stdio{}, nil)
	}
	code, err := inside(ctx, api, container, client.ExecCreateOptions{
		Cmd: append([]string{initInside, "exec", token, "--"}, command...), WorkingDir: "/workspace",
	}, s, send)
	if ctx.Err() != nil {
		send(syscall.SIGKILL)
	}
	return code, err
}
