//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// install lays out what an agent's container finds where nobody can copy into
// it: this program and an empty file for variables in folder, and files, a
// tree, in home. What the agent already has in its home it keeps. It needs the
// right to give files away.
func install(args []string) error {
	if len(args) != 5 {
		return errors.New(usage)
	}
	folder, home, files := args[0], args[1], args[2]
	uid, err := strconv.Atoi(args[3])
	if err != nil {
		return errors.New(usage)
	}
	gid, err := strconv.Atoi(args[4])
	if err != nil {
		return errors.New(usage)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	program := filepath.Join(folder, "bottle-init")
	if err := os.WriteFile(program+".new", self, 0o755); err != nil {
		return err
	}
	if err := os.Rename(program+".new", program); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, filepath.Base(envFile)), nil, 0o644); err != nil {
		return err
	}
	if err := furnish(home, files, uid, gid); err != nil {
		return fmt.Errorf("furnish the agent's home: %w", err)
	}
	return nil
}

// furnish copies a tree into a home folder, without a step out of either.
func furnish(home, files string, uid, gid int) error {
	to, err := os.OpenRoot(home)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := to.Lchown(".", uid, gid); err != nil {
		return err
	}
	from, err := os.OpenRoot(files)
	if err != nil {
		return err
	}
	defer from.Close()
	return copyTree(to, from, ".", uid, gid)
}

func copyTree(to, from *os.Root, folder string, uid, gid int) error {
	opened, err := from.Open(folder)
	if err != nil {
		return err
	}
	defer opened.Close()
	entries, err := opened.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := filepath.Join(folder, entry.Name())
		if entry.IsDir() {
			if err := to.Mkdir(name, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
				return err
			}
			if err := errors.Join(to.Lchown(name, uid, gid), copyTree(to, from, name, uid, gid)); err != nil {
				return err
			}
			continue
		}
		if err := copyFile(to, from, name, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(to, from *os.Root, name string, uid, gid int) error {
	source, err := from.Open(name)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	target, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Chown(uid, gid), target.Close())
}
