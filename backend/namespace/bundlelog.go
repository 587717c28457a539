//go:build linux

package namespace

import (
	"fmt"
	"io"
	"os"
)

// maxBundleLog bounds a bundle's log, in bytes: what an agent does adds to it.
const maxBundleLog = 64 << 20

// bundleLog is the file of what the bundle's processes say. What is over the
// bound is dropped. It is for one writer at a time.
type bundleLog struct {
	file *os.File
	left int64
}

var _ io.Writer = (*bundleLog)(nil)

// openBundleLog opens the log for more to be added, at most up to the bound.
func openBundleLog(path string, bound int64) (*bundleLog, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &bundleLog{file, max(bound-info.Size(), 0)}, nil
}

// Write never fails, so that a full disk does not end the bundle.
func (l *bundleLog) Write(p []byte) (int, error) {
	if l.left <= 0 {
		return len(p), nil
	}
	kept := p[:min(int64(len(p)), l.left)]
	l.left -= int64(len(kept))
	_, _ = l.file.Write(kept)
	if l.left == 0 {
		fmt.Fprintln(l.file, "\nthe log is full; nothing more is written")
	}
	return len(p), nil
}
