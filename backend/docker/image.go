package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/moby/client"
)

// maxContext bounds what is sent to the engine for a build.
const maxContext = 256 << 20

// agentImage is the image that the agent's container is made of. A Dockerfile
// is built, with its folder as the context; the engine's cache makes that short
// when nothing changed.
func (s *start) agentImage(ctx context.Context, progress func(string)) (string, error) {
	switch {
	case s.plan.Dockerfile != "":
		progress("building the agent's image from " + s.plan.Dockerfile)
		image, err := s.build(ctx)
		if err != nil {
			return "", fmt.Errorf("build %s: %w", s.plan.Dockerfile, err)
		}
		return image, nil
	case s.plan.Image != "":
		return s.plan.Image, nil
	}
	return s.backend.options.AgentImage, nil
}

func (s *start) build(ctx context.Context) (string, error) {
	folder := filepath.Dir(s.plan.Dockerfile)
	files, err := packFolder(folder)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(s.plan.Dockerfile))
	name := "claude-bottle-agent-build:" + hex.EncodeToString(sum[:6])
	built, err := s.api.ImageBuild(ctx, files, client.ImageBuildOptions{
		Tags: []string{name}, Dockerfile: filepath.Base(s.plan.Dockerfile), Remove: true, ForceRemove: true,
	})
	if err != nil {
		return "", err
	}
	defer built.Body.Close()
	for decoder := json.NewDecoder(built.Body); ; {
		var line struct {
			Error string `json:"error"`
		}
		err := decoder.Decode(&line)
		if errors.Is(err, io.EOF) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
		if line.Error != "" {
			return "", errors.New(line.Error)
		}
	}
}

// packFolder makes a build's context of a folder. Links stay links.
func packFolder(folder string) (io.Reader, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		link := ""
		if info.Mode().Type() == fs.ModeSymlink {
			if link, err = root.Readlink(name); err != nil {
				return err
			}
		} else if !info.Mode().IsRegular() && !info.IsDir() {
			return nil
		}
		header, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		header.Name, header.Uid, header.Gid = filepath.ToSlash(name), 0, 0
		if err := archive.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
			return err
		}
		if int64(buffer.Len())+info.Size() > maxContext {
			return fmt.Errorf("the folder %s is larger than %d MB; put the Dockerfile into a folder of its own", folder, maxContext>>20)
		}
		content, err := root.ReadFile(name)
		if err == nil {
			_, err = archive.Write(content)
		}
		return err
	})
	if err := errors.Join(err, archive.Close()); err != nil {
		return nil, err
	}
	return &buffer, nil
}
