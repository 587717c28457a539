package docker

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/claude-bottle/claude-bottle/agentenv"
	"github.com/claude-bottle/claude-bottle/plan"
)

// archive collects files for a container.
type archive struct {
	agent  user
	buffer bytes.Buffer
	tar    *tar.Writer
	made   map[string]bool // folders
	err    error
}

func newArchive(agent user) *archive {
	a := &archive{agent: agent, made: map[string]bool{}}
	a.tar = tar.NewWriter(&a.buffer)
	return a
}

// folder makes a folder, once.
func (a *archive) folder(name string, mode int64, owner user) {
	if a.err != nil || a.made[name] {
		return
	}
	a.made[name] = true
	a.err = a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(name, "/") + "/", Mode: mode, Uid: owner.uid, Gid: owner.gid})
}

func (a *archive) file(f plan.File, owner user) {
	if a.err != nil {
		return
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(f.Path, "/"), Mode: int64(f.Mode & 0o777), Size: int64(len(f.Content)), Uid: owner.uid, Gid: owner.gid}
	if a.err = a.tar.WriteHeader(header); a.err == nil {
		_, a.err = a.tar.Write(f.Content)
	}
}

// planned adds a file of the plan: the agent's own below its home folder, with
// the folders above it, and the system's elsewhere.
func (a *archive) planned(f plan.File) {
	f.Path = path.Clean(f.Path)
	if !path.IsAbs(f.Path) {
		a.err = errors.Join(a.err, fmt.Errorf("write %s: the path must be absolute", f.Path))
		return
	}
	for _, foreign := range []string{"/workspace", "/proc", "/dev", "/sys", "/usr", initFolder} {
		if f.Path == foreign || strings.HasPrefix(f.Path, foreign+"/") {
			a.err = errors.Join(a.err, fmt.Errorf("write %s: the bottle does not own %s", f.Path, foreign))
			return
		}
	}
	if !strings.HasPrefix(f.Path, agentenv.Home+"/") {
		a.file(f, user{})
		return
	}
	folder := agentenv.Home
	for _, part := range strings.Split(strings.TrimPrefix(path.Dir(f.Path), agentenv.Home), "/") {
		if part != "" {
			folder = path.Join(folder, part)
			a.folder(folder, 0o755, a.agent)
		}
	}
	a.file(f, a.agent)
}

func (a *archive) close() (io.Reader, error) {
	if err := errors.Join(a.err, a.tar.Close()); err != nil {
		return nil, err
	}
	return &a.buffer, nil
}
