package docker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/claude-bottle/claude-bottle/internal/commondir"
	"github.com/claude-bottle/claude-bottle/state"
)

// checkWorkspace returns the workspace's real path. A folder through which the
// agent would reach the bottles' own files is refused.
func checkWorkspace(dir string, home state.Home) (string, error) {
	workspace, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("workspace: %w", err)
	}
	info, err := os.Stat(workspace)
	if err != nil {
		return "", fmt.Errorf("workspace: %w", err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("workspace %s is not a folder", workspace)
	}
	real, err := filepath.EvalSymlinks(string(home))
	if err != nil {
		return "", err
	}
	for _, pair := range [][2]string{{workspace, real}, {real, workspace}} {
		if inside, err := filepath.Rel(pair[0], pair[1]); err == nil && filepath.IsLocal(inside) {
			return "", fmt.Errorf("the workspace %s and the folder of bottles %s lie one in the other, with which the agent could change its own rules; choose a folder beside it", workspace, home)
		}
	}
	return workspace, nil
}

const repository = ".git"

// protect returns the paths below the workspace that are mounted on themselves,
// and whether read-only: git hooks, which tools run outside too, and what would
// lead git to others, the file that commondir.Hold made. The folders above them are pinned to their names. Where
// there is no repository nothing is done: an agent may make one, hooks and all.
func protect(workspace string) (map[string]bool, error) {
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Lstat(repository)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case info.Mode().IsRegular(): // it names the folder that is the repository
		return map[string]bool{repository: true}, nil
	case !info.IsDir():
		return nil, errors.New("the workspace's .git is a link and cannot be protected; put the repository itself there, or a file that names it (git init --separate-git-dir)")
	}
	protected := map[string]bool{repository: false}
	// Where the operator may not make them, the agent may not either.
	if err := root.Mkdir(repository+"/hooks", 0o755); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("protect the workspace's repository: %w", err)
	}
	for _, hooks := range append(moduleHooks(root), repository+"/hooks") {
		for above := path.Dir(hooks); above != "."; above = path.Dir(above) {
			protected[above] = false
		}
		protected[hooks] = true
	}
	protected[commondir.Name] = true
	for name := range protected {
		info, err := root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			delete(protected, name)
			continue
		}
		if err != nil {
			return nil, err
		}
		if info.Mode().Type() == fs.ModeSymlink {
			return nil, fmt.Errorf("the workspace's %s is a link and cannot be protected; remove it", name)
		}
	}
	return protected, nil
}

// moduleHooks are the submodules' folders of hooks. A submodule's name may have
// slashes.
func moduleHooks(root *os.Root) []string {
	var found []string
	_ = fs.WalkDir(root.FS(), repository+"/modules", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fs.SkipDir
		}
		if !entry.IsDir() {
			return nil
		}
		if _, err := root.Lstat(path.Join(path.Dir(name), "HEAD")); err == nil && name != repository+"/modules" {
			switch entry.Name() {
			case "hooks":
				found = append(found, name)
				return fs.SkipDir
			case "modules":
			default:
				return fs.SkipDir
			}
		}
		return nil
	})
	return found
}
