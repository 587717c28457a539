package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ReadFile implements backend.Bottle: it reads what the bundle sees.
func (r *remote) ReadFile(ctx context.Context, name string) ([]byte, error) {
	place, err := inputPlace(name)
	if err != nil {
		return nil, err
	}
	first, _, _ := strings.Cut(filepath.ToSlash(name), "/")
	for _, part := range append([]string{partBundle}, readers[first]...) {
		if container, ok := r.services[part]; ok {
			return readInside(ctx, r.api, container, place)
		}
	}
	return nil, fmt.Errorf("bottle %s has no role that reads %s", r.slug, name)
}

// WriteFile implements backend.Bottle. The bundle sees the file itself, not its
// name, so that it is written in place.
func (r *remote) WriteFile(_ context.Context, name string, content []byte) error {
	if _, err := inputPlace(name); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(r.dir.In(), filepath.FromSlash(name)), os.O_WRONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX)
	if err == nil {
		_, err = file.WriteAt(content, 0)
	}
	if err == nil {
		err = file.Truncate(int64(len(content)))
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// inputPlace is where an input file is in the bundle.
func inputPlace(name string) (string, error) {
	first, rest, _ := strings.Cut(filepath.ToSlash(name), "/")
	place, ok := inputs[first]
	if !ok || !filepath.IsLocal(name) {
		return "", fmt.Errorf("%q is not the name of an input file", name)
	}
	if rest != "" {
		place += "/" + rest
	}
	return place, nil
}
