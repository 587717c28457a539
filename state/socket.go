package state

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// maxSocketPath is what every system's sockaddr_un holds (104 bytes on macOS,
// 108 on Linux, with a closing NUL).
const maxSocketPath = 103

// Socket is where a unix socket of the bottle belongs: Run()/name, or, where
// that is too long for one, a private folder of the user's runtime directory
// that every process finds again. The folder exists when Socket returns.
func (d Dir) Socket(name string) (string, error) {
	if path := filepath.Join(d.Run(), name); len(path) <= maxSocketPath {
		return path, os.MkdirAll(d.Run(), 0o700)
	}
	dir := d.shortRun()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making a folder for sockets: %w", err)
	}
	for _, folder := range []string{filepath.Dir(dir), dir} {
		if err := checkOwn(folder); err != nil {
			return "", err
		}
	}
	path := filepath.Join(dir, name)
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("%s is too long for a socket's path; set XDG_RUNTIME_DIR to a shorter folder", path)
	}
	return path, nil
}

// Remove removes the bottle's folder and its sockets.
func (d Dir) Remove() error {
	return errors.Join(os.RemoveAll(string(d)), os.RemoveAll(d.shortRun()))
}

func (d Dir) shortRun() string {
	sum := sha256.Sum256([]byte(d))
	return filepath.Join(SocketFolder(), hex.EncodeToString(sum[:6]))
}

// SocketFolder is the folder of all bottles' sockets whose paths would be too
// long in the bottles' own folders. It may not exist.
func SocketFolder() string {
	base := os.Getenv("XDG_RUNTIME_DIR")
	if !filepath.IsAbs(base) {
		base = "/tmp"
	}
	return filepath.Join(base, "claude-bottle-"+strconv.Itoa(os.Getuid()))
}

// checkOwn makes sure that nobody else put the folder there or can write to it.
func checkOwn(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(owner.Uid) != os.Getuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not a folder that only this user can write to; remove it or set XDG_RUNTIME_DIR", dir)
	}
	return nil
}
