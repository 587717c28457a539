package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/state"
)

// The folder of the sockets on which containers tell their health, in them and
// below state.Dir's Out folder.
const (
	healthInside = "/run/health"
	healthFolder = "health"
)

// askHealth asks a container of the bundle for its health and returns the
// document as well. The socket is the quick way; where the engine is in another
// machine, the container's own program is asked.
func askHealth(ctx context.Context, api *client.Client, dir state.Dir, part, container string) (health.Report, []byte, error) {
	if report, body, err := askSocket(ctx, dir, part); err == nil {
		return report, body, nil
	}
	var out, complaints bytes.Buffer
	_, err := inside(ctx, api, container, client.ExecCreateOptions{Cmd: []string{"/sidecars", "health", "--json"}}, backend.Stdio{Out: &out, Err: &complaints}, nil)
	if err == nil && out.Len() == 0 {
		err = fmt.Errorf("the bundle does not answer: %s", bytes.TrimSpace(complaints.Bytes()))
	}
	var report health.Report
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &report)
	}
	if err != nil {
		return report, nil, fmt.Errorf("health of %s: %w", container, err)
	}
	return report, out.Bytes(), nil
}

// askSocket asks through the socket. Its folder is opened first, as its path may
// be too long for a socket's.
func askSocket(ctx context.Context, dir state.Dir, part string) (health.Report, []byte, error) {
	folder, err := os.OpenFile(filepath.Join(dir.Out(), healthFolder), os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return health.Report{}, nil, err
	}
	defer folder.Close()
	path := filepath.Join("/proc/self/fd", strconv.Itoa(int(folder.Fd())), part+".sock")
	if info, err := os.Lstat(path); err != nil {
		return health.Report{}, nil, err
	} else if info.Mode().Type() != fs.ModeSocket {
		return health.Report{}, nil, fmt.Errorf("%s is no socket", part)
	}
	return health.Probe(ctx, "unix:"+path)
}
