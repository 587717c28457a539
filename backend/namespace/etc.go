//go:build linux

package namespace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/plan"
)

// hostEtc are the host's configuration files that programs need to run at all
// and that tell nothing about their owner. Only what everybody may read is
// taken. Patterns as filepath.Match has them.
var hostEtc = []string{
	"alternatives", "bash.bashrc", "crypto-policies", "debian_version", "fedora-release", "fonts", "inputrc", "java-*", "ld.so.cache",
	"ld.so.conf", "ld.so.conf.d", "locale.alias", "locale.conf", "localtime", "lsb-release", "magic", "magic.mime",
	"mailcap", "manpath.config", "mime.types", "os-release", "perl", "pki/ca-trust", "pki/tls", "protocols", "python*", "rpc", "services",
	"ssl/certs", "ssl/openssl.cnf", "terminfo", "timezone",
}

// maxEtcFile bounds one copied file.
const maxEtcFile = 8 << 20

// makeEtc makes /etc: what identifies the host or its users is written anew,
// the rest is copied from the list.
func makeEtc(to world) error {
	for _, pattern := range hostEtc {
		matches, err := filepath.Glob(filepath.Join("/etc", pattern))
		if err != nil {
			return err
		}
		for _, path := range matches {
			if err := copyTree(path); err != nil {
				return fmt.Errorf("copy %s: %w", path, err)
			}
		}
	}
	shell := "/bin/sh"
	if _, err := os.Stat("/bin/bash"); err == nil {
		shell = "/bin/bash"
	}
	return writeFiles([]plan.File{
		{Path: "/etc/passwd", Mode: 0o644, Content: fmt.Appendf(nil,
			"root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:%d:%d:agent:/home/agent:%s\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
			agentID, agentID, shell)},
		{Path: "/etc/group", Mode: 0o644, Content: fmt.Appendf(nil, "root:x:0:\nagent:x:%d:\nnogroup:x:65534:\n", agentID)},
		{Path: "/etc/hosts", Mode: 0o644, Content: hosts(to.Slug)},
		{Path: "/etc/hostname", Mode: 0o644, Content: []byte(to.Slug + "\n")},
		{Path: "/etc/resolv.conf", Mode: 0o644, Content: []byte("# Names are resolved by the proxy.\n")},
		{Path: "/etc/nsswitch.conf", Mode: 0o644, Content: []byte("passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n")},
		{Path: "/etc/shells", Mode: 0o644, Content: []byte("/bin/sh\n/bin/bash\n")},
	})
}

// hosts gives the roles' names, all on the loopback interface.
func hosts(slug string) []byte {
	var b strings.Builder
	b.WriteString("127.0.0.1 localhost " + slug + "\n::1 localhost\n127.0.0.1")
	for _, role := range roles {
		b.WriteString(" " + role + " claude-bottle-" + role + "-" + slug)
	}
	b.WriteString("\n")
	return []byte(b.String())
}

// copyTree copies what everybody may read at a path of the host to the same
// path inside. Links stay links.
func copyTree(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return nil //nolint:nilerr // it has just been removed
		}
		switch {
		case info.IsDir():
			if info.Mode()&0o005 != 0o005 {
				return fs.SkipDir
			}
			return os.MkdirAll(inside(path), 0o755)
		case info.Mode().Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(inside(filepath.Dir(path)), 0o755); err != nil {
				return err
			}
			return os.Symlink(target, inside(path))
		case info.Mode().IsRegular() && info.Mode()&0o004 != 0 && info.Size() <= maxEtcFile:
			content, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrPermission) {
				return nil
			}
			if err != nil {
				return err
			}
			return writeFile(plan.File{Path: path, Mode: uint32(info.Mode().Perm()) & 0o755, Content: content})
		}
		return nil
	})
}

// writeFiles writes files below the new root, over what is there.
func writeFiles(files []plan.File) error {
	for _, file := range files {
		if err := writeFile(file); err != nil {
			return fmt.Errorf("write %s: %w", file.Path, err)
		}
	}
	return nil
}

func writeFile(file plan.File) error {
	path := filepath.Clean(file.Path)
	if !filepath.IsAbs(path) {
		return errors.New("the path must be absolute")
	}
	for _, foreign := range []string{"/workspace", "/proc", "/dev", "/usr"} {
		if path == foreign || strings.HasPrefix(path, foreign+"/") {
			return fmt.Errorf("the bottle does not own %s", foreign)
		}
	}
	if err := os.MkdirAll(inside(filepath.Dir(path)), 0o755); err != nil {
		return err
	}
	if err := os.Remove(inside(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(inside(path), file.Content, fs.FileMode(file.Mode)&fs.ModePerm); err != nil {
		return err
	}
	return unix.Chmod(inside(path), file.Mode&0o777)
}
