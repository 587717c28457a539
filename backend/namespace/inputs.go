//go:build linux

package namespace

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/internal/atomicfile"
	"github.com/claude-bottle/claude-bottle/state"
)

// inputPath is the place of one of the bundle's input files.
func inputPath(dir state.Dir, name string) (string, error) {
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("%q is not the name of an input file", name)
	}
	return filepath.Join(dir.In(), name), nil
}

func readInput(dir state.Dir, name string) ([]byte, error) {
	path, err := inputPath(dir, name)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func writeInput(dir state.Dir, name string, content []byte) error {
	path, err := inputPath(dir, name)
	if err != nil {
		return err
	}
	return atomicfile.ReplaceDurably(path, content, 0o600)
}

func probeHealth(ctx context.Context, dir state.Dir) ([]byte, error) {
	path, err := dir.Socket(healthSocket)
	if err != nil {
		return nil, err
	}
	_, body, err := health.Probe(ctx, "unix:"+path)
	return body, err
}
