package plan

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/claude-bottle/claude-bottle/state"
)

// The system's folders that other programs trust. None may be a workspace or
// part of one; nor may anything below those that are the system's alone.
var (
	sharedFolders = []string{"/home", "/root", "/usr", "/var", "/var/tmp", "/tmp"}
	systemFolders = []string{"/dev", "/etc", "/proc", "/run", "/sys"}
)

// findWorkspace returns the workspace's real path. It may hold nothing that
// decides about bottles: the agent writes there.
func findWorkspace(o Options) (string, error) {
	dir, err := filepath.Abs(o.Workspace)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", fmt.Errorf("the workspace: %w", err)
	}
	if info, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("the workspace: %w", err)
	} else if !info.IsDir() {
		return "", fmt.Errorf("the workspace %s is no folder", dir)
	}
	home := realPath(string(o.Home))
	if within(dir, home) || within(home, dir) {
		return "", fmt.Errorf("the workspace %s and the folder of bottles %s lie one in the other: the agent could change what it is allowed; choose a project's folder with --workspace", dir, home)
	}
	return dir, refuseSystem(dir)
}

// refuseSystem refuses a workspace that holds what programs of the operator
// meet in: sockets, temporary files, the system's configuration.
func refuseSystem(dir string) error {
	sockets := state.SocketFolder()
	below := append(slices.Clone(systemFolders), sockets)
	for _, folder := range below {
		if within(realPath(folder), dir) {
			return refusedWorkspace(dir, "is part of", folder)
		}
	}
	above := append(slices.Concat(sharedFolders, below), os.TempDir())
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(runtime) {
		above = append(above, runtime)
	}
	for _, folder := range above {
		if within(dir, realPath(folder)) {
			return refusedWorkspace(dir, "is or holds", folder)
		}
	}
	return nil
}

func refusedWorkspace(dir, how, folder string) error {
	return fmt.Errorf("the workspace %s %s %s, where the agent could reach programs outside its bottle; choose a project's folder with --workspace", dir, how, folder)
}

// within tells whether path is dir or below it; both are real paths.
func within(dir, path string) bool {
	relative, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(relative)
}

// realPath resolves the links of the longest part of path that exists.
func realPath(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	for rest := ""; ; {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(real, rest)
		}
		if path == filepath.Dir(path) {
			return filepath.Join(path, rest)
		}
		path, rest = filepath.Dir(path), filepath.Join(filepath.Base(path), rest)
	}
}
