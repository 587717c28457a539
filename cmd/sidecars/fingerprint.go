package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// keyBytes is the size of the key of findings' fingerprints.
const keyBytes = 32

// fingerprintKey reads the bottle's key, or makes one. An operator's approval
// names a fingerprint, so the key must be the same after a restart.
func fingerprintKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	switch {
	case err == nil && len(key) == keyBytes:
		return key, nil
	case err == nil:
		return nil, fmt.Errorf("%s is not a key of %d bytes; remove it, and findings approved so far are asked again", path, keyBytes)
	case !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	key = make([]byte, keyBytes)
	rand.Read(key)
	half := path + ".new" // so that a crash leaves no short key
	if err := os.WriteFile(half, key, 0o600); err != nil {
		return nil, err
	}
	return key, os.Rename(half, path)
}
