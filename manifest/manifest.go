// Package manifest reads bottle files and agent files: Markdown with YAML front
// matter, written by the operator. [LoadBottle] and [LoadAgent] are all most
// callers need.
//
// A bottle file says what a bottle may reach and is read from the home folder
// only. An agent file says who works in it; it may also come from the working
// folder, where others may have written it, and can then ask for nothing that
// the operator did not choose.
package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/claude-bottle/claude-bottle/internal/strictyaml"
	"github.com/claude-bottle/claude-bottle/state"
)

// User is who commits are by.
type User struct {
	Name  string `yaml:"name"`
	Email string `yaml:"email"`
}

func (u User) check() error {
	for _, text := range []string{u.Name, u.Email} {
		if len(text) > 200 || strings.ContainsFunc(text, unicode.IsControl) {
			return errors.New("git-gate.user: a name or address of more than 200 characters or with a control character")
		}
	}
	return nil
}

// NotFoundError says that no file of this name exists.
type NotFoundError struct {
	// Kind is "bottle" or "agent", or both where either would do.
	Kind, Name string
	// Known are the names that do exist; Folder is where files belong.
	Known  []string
	Folder string
}

func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("no %s file %s.md in %s", e.Kind, e.Name, e.Folder)
	if near := strictyaml.Closest(e.Name, e.Known); near != "" {
		return text + fmt.Sprintf("; did you mean %q?", near)
	}
	if len(e.Known) > 0 {
		return text + "; there are " + strings.Join(e.Known, ", ")
	}
	return text
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// checkName tells whether text can be the name of a file or a skill: it never
// leads to another folder.
func checkName(kind, text string) error {
	if !nameForm.MatchString(text) {
		return fmt.Errorf("%.80q is not the name of %s: use letters, digits, '.', '_' and '-', beginning with a letter or digit", text, kind)
	}
	return nil
}

const (
	maxBottleFile = 128 << 10
	maxAgentFile  = 512 << 10
)

// namesIn lists the names of the Markdown files in a folder.
func namesIn(fsys fs.FS, dir string) ([]string, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".md")
		if ok && !entry.IsDir() && nameForm.MatchString(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// Bottles lists the bottle files of the home folder by name.
func Bottles(home state.Home) ([]string, error) {
	names, err := namesIn(os.DirFS(home.Bottles()), ".")
	if err != nil {
		return nil, fmt.Errorf("listing the bottle files: %w", err)
	}
	return names, nil
}

// Agents lists the agent files of the home folder and of the working folder by
// name, each once.
func Agents(home state.Home, workspace string) ([]string, error) {
	names, err := namesIn(os.DirFS(home.Agents()), ".")
	if err != nil {
		return nil, fmt.Errorf("listing the agent files: %w", err)
	}
	if root, err := os.OpenRoot(workspace); err == nil {
		defer root.Close()
		// What a repository offers and cannot be read is not offered.
		more, _ := namesIn(root.FS(), filepath.ToSlash(repositoryAgents))
		names = append(names, more...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// opener opens a file of a folder: os.OpenFile, or a method of os.Root.
type opener func(name string, flag int, perm os.FileMode) (*os.File, error)

// read reads a regular file of at most limit bytes.
func read(open opener, path string, limit int64) ([]byte, error) {
	f, err := open(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not block
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return content, nil
}
