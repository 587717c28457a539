package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/claude-bottle/claude-bottle/state"
)

// runByTools are the files of a workspace that programs on the host run by
// themselves: an agent that changes one reaches out of its bottle later.
var runByTools = []string{
	".gitmodules", ".gitattributes", ".claude-bottle",
	".envrc", ".mise.toml", ".tool-versions", ".direnv",
	".vscode/tasks.json", ".vscode/settings.json", ".vscode/launch.json", ".idea/runConfigurations", ".idea/workspace.xml",
	".zed", ".exrc", ".nvimrc", ".nvim.lua", ".vimrc", ".dir-locals.el", ".emacs.d",
	".devcontainer", ".devcontainer.json", ".pre-commit-config.yaml", ".husky", "lefthook.yml", ".lefthook.yml",
	".claude", ".mcp.json", ".cursor", ".codex", ".bazelrc", ".npmrc", ".yarnrc.yml", ".cargo/config.toml",
}

// runByGit are those of a repository, below its .git.
var runByGit = []string{"config", "config.worktree", "commondir", "hooks", "modules", "worktrees", "info"}

const (
	// largestWatched is the largest file that is compared by content; a larger
	// one is compared by time.
	largestWatched = 1 << 20
	// Repositories in the workspace are looked for this deep and in so many
	// folders.
	deepestRepository = 3
	mostFolders       = 4000
)

// watched is the state of those files: what each one was.
type watched struct {
	Workspace string            `json:"workspace"`
	Files     map[string]string `json:"files"`
}

// watch remembers the files as they are now. It reads them and runs nothing,
// and follows no link.
func watch(workspace string) watched {
	return watched{workspace, fingerprints(workspace)}
}

func watchFile(dir state.Dir) string { return filepath.Join(dir.Run(), "watched.json") }

// save keeps what was seen for the program that ends the bottle.
func (w watched) save(dir state.Dir) error {
	content, err := json.Marshal(w)
	if err != nil {
		return err
	}
	return os.WriteFile(watchFile(dir), content, 0o600)
}

func savedWatch(dir state.Dir) (w watched, err error) {
	content, err := os.ReadFile(watchFile(dir))
	if err != nil {
		return w, err
	}
	return w, json.Unmarshal(content, &w)
}

// changes lists the files that came, went or changed since, sorted.
func (w watched) changes() []string {
	now := fingerprints(w.Workspace)
	var changed []string
	for name, print := range now {
		if w.Files[name] != print {
			changed = append(changed, name)
		}
	}
	for name := range w.Files {
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
	names := slices.Clone(runByTools)
	for _, repository := range repositories(root) {
		names = append(names, repository)
		for _, name := range runByGit {
			names = append(names, path.Join(repository, name))
		}
	}
	for _, name := range names {
		addFingerprints(root, name, prints)
	}
	return prints
}

// repositories are the .git entries of the workspace, folders or not.
func repositories(root *os.Root) []string {
	var found []string
	folders := 0
	_ = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case entry.Name() == ".git":
			found = append(found, name)
		case !entry.IsDir():
			return nil
		}
		if folders++; folders > mostFolders {
			return fs.SkipAll
		}
		if entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "node_modules" || strings.Count(name, "/") >= deepestRepository) {
			return fs.SkipDir
		}
		return nil
	})
	return found
}

// addFingerprints adds a file, or the files below a folder. The folder .git
// itself is no file of interest, unless it is something else than a folder.
func addFingerprints(root *os.Root, name string, prints map[string]string) {
	info, err := root.Lstat(name)
	if err != nil {
		return
	}
	if !info.IsDir() {
		prints[name] = fingerprint(root, name, info)
		return
	}
	if path.Base(name) == ".git" {
		return
	}
	_ = fs.WalkDir(root.FS(), name, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if entry.IsDir() {
			if entry.Name() == "objects" || strings.Count(name, "/") > 8 {
				return fs.SkipDir // of a submodule's repository, or too deep to matter
			}
			return nil
		}
		if info, err := entry.Info(); err == nil {
			prints[name] = fingerprint(root, name, info)
		}
		return nil
	})
}

func fingerprint(root *os.Root, name string, info fs.FileInfo) string {
	kind := info.Mode().String()
	if !info.Mode().IsRegular() {
		target, _ := root.Readlink(name)
		return kind + " " + target
	}
	if info.Size() > largestWatched {
		return kind + " " + info.ModTime().String()
	}
	file, err := root.Open(name)
	if err != nil {
		return kind + " unreadable"
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(file, largestWatched)); err != nil {
		return kind + " unreadable"
	}
	return kind + " " + hex.EncodeToString(sum.Sum(nil))
}
