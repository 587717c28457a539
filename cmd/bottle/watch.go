package main

import (
	"crypto/sha256"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// runByTools are the files of a workspace that programs on the host run by
// themselves: an agent that changes one reaches out of its bottle later.
var runByTools = []string{
	".git/config", ".git/config.worktree", ".git/hooks", ".git/modules", ".gitmodules", ".gitattributes",
	".envrc", ".mise.toml", ".tool-versions", ".direnv",
	".vscode/tasks.json", ".vscode/settings.json", ".vscode/launch.json", ".idea/runConfigurations", ".idea/workspace.xml",
	".devcontainer", ".devcontainer.json", ".pre-commit-config.yaml", ".husky",
	".claude", ".mcp.json", ".cursor", ".codex", ".bazelrc", ".npmrc", ".yarnrc.yml", ".cargo/config.toml",
}

// largest file that is compared; a larger one is compared by size and time.
const largestWatched = 1 << 20

// watched is the state of those files: what each one was.
type watched struct {
	workspace string
	files     map[string]string
}

// watch remembers the files as they are now. It reads and runs nothing else,
// and follows no link.
func watch(workspace string) watched {
	return watched{workspace, fingerprints(workspace)}
}

// changes lists the files that came, went or changed since, sorted.
func (w watched) changes() []string {
	now := fingerprints(w.workspace)
	var changed []string
	for name, print := range now {
		if w.files[name] != print {
			changed = append(changed, name)
		}
	}
	for name := range w.files {
		if _, ok := now[name]; !ok {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	return changed
}

func fingerprints(workspace string) map[string]string {
	prints := map[string]string{}
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return prints
	}
	defer root.Close()
	for _, name := range runByTools {
		info, err := root.Lstat(name)
		if err != nil {
			continue
		}
		if !info.IsDir() {
			prints[name] = fingerprint(root, name, info)
			continue
		}
		_ = fs.WalkDir(root.FS(), name, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if entry.IsDir() {
				if entry.Name() == "objects" || strings.Count(path, "/") > 6 {
					return fs.SkipDir // of a submodule's repository, or too deep to matter
				}
				return nil
			}
			if info, err := entry.Info(); err == nil {
				prints[path] = fingerprint(root, path, info)
			}
			return nil
		})
	}
	return prints
}

func fingerprint(root *os.Root, path string, info fs.FileInfo) string {
	if !info.Mode().IsRegular() {
		target, _ := root.Readlink(path)
		return info.Mode().String() + target
	}
	kind := info.Mode().String()
	if info.Size() > largestWatched {
		return kind + info.ModTime().String()
	}
	file, err := root.Open(path)
	if err != nil {
		return kind + "unreadable"
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(file, largestWatched)); err != nil {
		return kind + "unreadable"
	}
	return kind + string(sum.Sum(nil))
}
