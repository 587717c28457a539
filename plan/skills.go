package plan

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/claude-bottle/claude-bottle/manifest"
	"github.com/claude-bottle/claude-bottle/state"
)

// Limits of one agent's skills.
const (
	maxSkillFiles = 500
	maxSkillBytes = 8 << 20
)

// loadSkills reads the skills that the agent file names: folders of the home
// folder's skills, and for an agent file of the operator's own also those of
// ~/.claude/skills.
func loadSkills(home state.Home, agent *manifest.Agent) ([]File, error) {
	folders := []string{home.Skills()}
	if user, err := os.UserHomeDir(); err == nil && !agent.Repository {
		folders = append(folders, filepath.Join(user, ".claude", "skills"))
	}
	var all []File
	size := 0
	for _, name := range agent.Skills {
		files, err := loadSkill(folders, name)
		if err != nil {
			return nil, fmt.Errorf("%s: skill %s: %w", agent.Path, name, err)
		}
		for _, f := range files {
			size += len(f.Content)
		}
		all = append(all, files...)
		if len(all) > maxSkillFiles || size > maxSkillBytes {
			return nil, fmt.Errorf("%s: its skills have more than %d files or %d bytes", agent.Path, maxSkillFiles, maxSkillBytes)
		}
	}
	return all, nil
}

func loadSkill(folders []string, name string) ([]File, error) {
	for _, folder := range folders {
		dir := filepath.Join(folder, name)
		if info, err := os.Stat(filepath.Join(dir, "SKILL.md")); err != nil || !info.Mode().IsRegular() {
			continue
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		return readTree(root, name)
	}
	return nil, fmt.Errorf("no %s/SKILL.md in %s", name, folders[0])
}

// readTree reads every file of a folder. A link is an error: what it leads to
// was not meant to be copied.
func readTree(root *os.Root, name string) ([]File, error) {
	var files []File
	size := int64(0)
	err := fs.WalkDir(root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if size += info.Size(); !info.Mode().IsRegular() || size > maxSkillBytes || len(files) >= maxSkillFiles {
			return fmt.Errorf("%s is no regular file, or the folder is too large", p)
		}
		content, err := root.ReadFile(p)
		if err != nil {
			return err
		}
		files = append(files, File{Path: path.Join(name, p), Mode: 0o644 | uint32(info.Mode().Perm()&0o111), Content: content})
		return nil
	})
	return files, err
}
