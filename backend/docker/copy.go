package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/claude-bottle/claude-bottle/agentenv"
	"github.com/claude-bottle/claude-bottle/plan"
)

// maxCopied bounds one file that is read out of a container.
const maxCopied = 64 << 20

// readInside reads a file of a container, running or not, following a link.
func readInside(ctx context.Context, api *client.Client, container, name string) ([]byte, error) {
	for range 8 {
		got, err := api.CopyFromContainer(ctx, container, client.CopyFromContainerOptions{SourcePath: name})
		if err != nil {
			return nil, err
		}
		content, link, err := firstFile(got.Content)
		got.Content.Close()
		if err != nil {
			return nil, fmt.Errorf("%s in %s: %w", name, container, err)
		}
		if link == "" {
			return content, nil
		}
		if !path.IsAbs(link) {
			link = path.Join(path.Dir(name), link)
		}
		name = path.Clean(link)
	}
	return nil, fmt.Errorf("%s in %s: too many links", name, container)
}

// firstFile returns the first entry of an archive: a file's content or where a
// link leads.
func firstFile(archive io.Reader) (content []byte, link string, err error) {
	reader := tar.NewReader(archive)
	header, err := reader.Next()
	switch {
	case err != nil:
		return nil, "", err
	case header.Typeflag == tar.TypeSymlink:
		return nil, header.Linkname, nil
	case header.Typeflag != tar.TypeReg || header.Size > maxCopied:
		return nil, "", errors.New("it is no file, or too large")
	}
	content, err = io.ReadAll(reader)
	return content, "", err
}

// fillAgent puts into the agent's container what the plan has for it: none of
// the image's programs runs for that. bottle-init is read out of the container
// that seals, as nobody keeps that one busy meanwhile.
func (s *start) fillAgent(ctx context.Context) error {
	var program []byte
	var etc tree
	var reading errgroup.Group
	reading.Go(func() (err error) {
		if program, err = readInside(ctx, s.api, s.sealer, initOutside); err != nil {
			return fmt.Errorf("%s in the image %s: %w", initOutside, s.backend.options.Image, err)
		}
		return nil
	})
	reading.Go(func() (err error) {
		etc, err = readTree(ctx, s.api, s.agent, "/etc")
		return err
	})
	if err := reading.Wait(); err != nil {
		return err
	}
	files, err := s.trustBundles(ctx, etc)
	if err != nil {
		return err
	}
	users, err := s.users(ctx, etc)
	if err != nil {
		return err
	}
	archive := newArchive(s.user)
	archive.folder(initFolder, 0o755, user{})
	archive.file(plan.File{Path: initInside, Mode: 0o755, Content: program}, user{})
	archive.file(plan.File{Path: envInside, Mode: 0o600, Content: hiddenEnv(s.plan.AgentEnv, s.plan.Supplied)}, s.user)
	archive.folder("/tmp", 0o1777, user{})
	archive.folder(agentenv.Home, 0o755, s.user)
	for _, file := range slices.Concat(files, users) {
		archive.planned(file)
	}
	content, err := archive.close()
	if err != nil {
		return err
	}
	_, err = s.api.CopyToContainer(ctx, s.agent, client.CopyToContainerOptions{DestinationPath: "/", Content: content})
	if err != nil {
		return fmt.Errorf("put files into %s: %w", agentContainer(s.plan.Slug), err)
	}
	return nil
}

// imageFile returns a file of the agent's image, which is in etc or where a link
// from there leads.
func (s *start) imageFile(ctx context.Context, etc tree, name string) ([]byte, error) {
	content, err := etc.read(name)
	if errors.Is(err, errOutside) {
		return readInside(ctx, s.api, s.agent, name)
	}
	return content, err
}

// imageBundles are where images keep their trusted roots.
var imageBundles = []string{
	agentenv.Bundle, "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
}

// trustBundles are the agent's files, with the bottle's CA added to the image's
// own trusted roots wherever it keeps some. An image without any gets the
// host's.
func (s *start) trustBundles(ctx context.Context, etc tree) ([]plan.File, error) {
	var ca []byte
	files := slices.Clone(s.plan.AgentFiles)
	for _, file := range files {
		if file.Path == agentenv.CACert {
			ca = file.Content
		}
	}
	if ca == nil {
		return files, nil
	}
	var own []byte
	for _, name := range imageBundles {
		roots, err := s.imageFile(ctx, etc, name)
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the image's trusted roots: %w", err)
		}
		merged := append(append(bytes.TrimRight(roots, "\n"), '\n'), ca...)
		files = slices.DeleteFunc(files, func(f plan.File) bool { return f.Path == name })
		files = append(files, plan.File{Path: name, Mode: 0o644, Content: merged})
		if own == nil {
			own = merged
		}
	}
	for i, file := range files {
		if file.Path == agentenv.Bundle && own != nil {
			files[i].Content = own
		}
	}
	return files, nil
}

// users are /etc/passwd and /etc/group of the image, with the agent added where
// the image does not know its number.
func (s *start) users(ctx context.Context, etc tree) ([]plan.File, error) {
	var files []plan.File
	for name, line := range map[string]string{
		"/etc/passwd": fmt.Sprintf("agent:x:%d:%d:agent:%s:/bin/sh\n", s.user.uid, s.user.gid, agentenv.Home),
		"/etc/group":  fmt.Sprintf("agent:x:%d:\n", s.user.gid),
	} {
		number := strings.Split(line, ":")[2]
		content, err := s.imageFile(ctx, etc, name)
		if errdefs.IsNotFound(err) {
			content = nil
		} else if err != nil {
			return nil, err
		}
		if knowsNumber(string(content), strings.TrimSpace(number)) {
			continue
		}
		if len(content) > 0 && !bytes.HasSuffix(content, []byte("\n")) {
			content = append(content, '\n')
		}
		files = append(files, plan.File{Path: name, Mode: 0o644, Content: append(content, line...)})
	}
	return files, nil
}

func knowsNumber(table, number string) bool {
	for line := range strings.Lines(table) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); len(fields) > 2 && fields[2] == number {
			return true
		}
	}
	return false
}
