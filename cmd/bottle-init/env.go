//go:build linux

package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// envFile holds the agent's variables that the container's configuration must
// not show, NAME=value, each ended by a NUL byte.
const envFile = "/.claude-bottle/env"

// environment is the container's, with the file's variables over it.
func environment() ([]string, error) {
	content, err := os.ReadFile(envFile)
	if errors.Is(err, fs.ErrNotExist) {
		return os.Environ(), nil
	}
	if err != nil {
		return nil, err
	}
	env := os.Environ()
	for variable := range strings.SplitSeq(strings.TrimSuffix(string(content), "\x00"), "\x00") {
		name, _, ok := strings.Cut(variable, "=")
		if !ok {
			continue
		}
		kept := env[:0]
		for _, other := range env {
			if _, same := cutName(other, name); !same {
				kept = append(kept, other)
			}
		}
		env = append(kept, variable)
	}
	return env, nil
}

// cutName returns the value of NAME=value when it has that name.
func cutName(variable, name string) (string, bool) {
	return strings.CutPrefix(variable, name+"=")
}
