//go:build !linux

package docker

import (
	"errors"
	"os"
)

func showAs(string, string, user, bool) error {
	return errors.New("bottles of root need Linux; start bottle as an ordinary user")
}

func unshow(target string) error {
	if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func inMemory(string) bool { return false }
