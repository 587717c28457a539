// Package atomicfile replaces files in one step.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace puts content at path, with the given mode, so that a reader sees all
// of it or what was there before. It does not wait for the disk.
func Replace(path string, content []byte, mode fs.FileMode) error {
	return replace(path, content, mode, func(*os.File) error { return nil })
}

// ReplaceDurably is Replace that also holds after a crash of the machine: once
// it returns nil the new content is on the disk.
func ReplaceDurably(path string, content []byte, mode fs.FileMode) error {
	if err := replace(path, content, mode, (*os.File).Sync); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

func replace(path string, content []byte, mode fs.FileMode, sync func(*os.File) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(content)
	if err = errors.Join(err, file.Chmod(mode), sync(file), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// SyncFolder makes what was created, renamed or removed in a folder hold after
// a crash of the machine.
func SyncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
