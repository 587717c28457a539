// Package examples holds bottle files to start from, which `bottle init` writes
// out. reference.md shows every key.
package examples

import (
	"embed"
	"io/fs"
	"path"
)

// Shell is a bottle that anyone can run at once: bash, curl and git on a couple
// of public hosts, no credential.
//
//go:embed shell.md
var Shell []byte

// Names are the bottles that Files knows, the first one for a start.
var Names = []string{"shell", "claude", "codex"}

//go:embed shell.md claude.md codex.md claude codex
var folder embed.FS

// Files are the bottle file of that name and what it refers to, by their paths
// in the folder of bottle files; none for a name that is not in Names.
func Files(name string) map[string][]byte {
	files := make(map[string][]byte)
	for _, root := range []string{name + ".md", name} {
		_ = fs.WalkDir(folder, root, func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return nil // not every bottle has a folder
			}
			content, err := folder.ReadFile(path.Clean(file))
			files[file] = content
			return err
		})
	}
	return files
}
