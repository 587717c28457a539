package docker

import (
	"bytes"
	"context"
	"io"
	"os"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"
)

// maxBundleLog bounds the file that a bundle's log is copied to.
const maxBundleLog = 64 << 20

// logs returns the last lines of what a container said.
func logs(ctx context.Context, api *client.Client, name, lines string) (string, error) {
	stream, err := api.ContainerLogs(ctx, name, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: lines})
	if err != nil {
		return "", err
	}
	defer stream.Close()
	var text bytes.Buffer
	_, err = stdcopy.StdCopy(&text, &text, stream)
	return text.String(), err
}

// followLog copies what a bundle says to a file, as long as it lives, whatever
// becomes of the engine meanwhile. What cannot be written is forgotten; the
// engine has it too.
func followLog(ctx context.Context, api *client.Client, name, path string) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return
	}
	defer file.Close()
	bounded := &boundedWriter{to: file, left: maxBundleLog}
	since := ""
	for ctx.Err() == nil && bounded.left > 0 {
		stream, err := api.ContainerLogs(ctx, name, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true, Since: since})
		if err != nil && !isLost(err) {
			return
		}
		if err == nil {
			_, _ = stdcopy.StdCopy(bounded, bounded, stream)
			stream.Close()
			since = time.Now().Format(time.RFC3339Nano)
		}
		select {
		case <-ctx.Done():
		case <-time.After(enginePause):
		}
	}
}

// boundedWriter ends with an error what writes more than is left.
type boundedWriter struct {
	to   io.Writer
	left int
}

func (w *boundedWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, io.ErrShortWrite
	}
	return w.to.Write(p)
}
