package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// maxTree bounds a folder that is read out of a container at once.
const maxTree = 64 << 20

// tree is a folder of a container, by whole paths. To read it at once is one
// process of the engine's instead of one for each file.
type tree struct {
	top     string
	entries map[string]entry
}

// entry is a file, a folder without content, or a link.
type entry struct {
	content []byte
	folder  bool
	link    string
}

// errOutside says that a path leads out of the folder that was read.
var errOutside = errors.New("it leads out of the folder")

// readTree reads a folder; one that is not there is empty.
func readTree(ctx context.Context, api *client.Client, container, top string) (tree, error) {
	t := tree{top: top, entries: make(map[string]entry)}
	got, err := api.CopyFromContainer(ctx, container, client.CopyFromContainerOptions{SourcePath: top})
	if errdefs.IsNotFound(err) {
		return t, nil
	}
	if err != nil {
		return t, err
	}
	defer got.Content.Close()
	if err := t.fill(got.Content); err != nil {
		return t, fmt.Errorf("%s in %s: %w", top, container, err)
	}
	return t, nil
}

// fill takes an archive whose names begin with the folder's own.
func (t tree) fill(archive io.Reader) error {
	above, left := path.Dir(t.top), int64(maxTree)
	for reader := tar.NewReader(archive); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, e := path.Join(above, header.Name), entry{}
		switch header.Typeflag {
		case tar.TypeDir:
			e.folder = true
		case tar.TypeSymlink:
			e.link = header.Linkname
		case tar.TypeLink:
			e.link = path.Join(above, header.Linkname)
		case tar.TypeReg:
			if left -= header.Size; left < 0 {
				return fmt.Errorf("it holds more than %d MB", maxTree>>20)
			}
			if e.content, err = io.ReadAll(reader); err != nil {
				return err
			}
		default:
			continue
		}
		t.entries[name] = e
	}
}

// read returns a file's content, following links; errdefs.ErrNotFound where
// there is none, and errOutside where the path leaves the folder.
func (t tree) read(name string) ([]byte, error) {
	const mostLinks = 16
	for range mostLinks {
		next, e, err := t.walk(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if next == "" {
			return e.content, nil
		}
		name = next
	}
	return nil, fmt.Errorf("%s: too many links", name)
}

// walk goes along a path to its file, or to the first link on it; next is then
// where the path leads instead.
func (t tree) walk(name string) (next string, e entry, err error) {
	if name != t.top && !strings.HasPrefix(name, t.top+"/") {
		return "", entry{}, errOutside
	}
	at, rest := path.Dir(t.top), strings.TrimPrefix(name, "/")
	rest = strings.TrimPrefix(rest, strings.TrimPrefix(at, "/"))
	for rest = strings.TrimPrefix(rest, "/"); rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		at = path.Join(at, part)
		found, ok := t.entries[at]
		switch {
		case !ok || rest != "" && !found.folder && found.link == "":
			return "", entry{}, errdefs.ErrNotFound
		case found.link != "" && path.IsAbs(found.link):
			return path.Join(found.link, rest), entry{}, nil
		case found.link != "":
			return path.Join(path.Dir(at), found.link, rest), entry{}, nil
		case rest == "" && found.folder:
			return "", entry{}, errdefs.ErrNotFound
		}
		e = found
	}
	return "", e, nil
}
