package gitpack

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// CommitLinks returns the tree and the parents that a commit names.
func (f Format) CommitLinks(data []byte) (tree ID, parents []ID, err error) {
	tree, data, err = f.link("tree ", data)
	for err == nil && bytes.HasPrefix(data, []byte("parent ")) {
		var parent ID
		if parent, data, err = f.link("parent ", data); err == nil {
			parents = append(parents, parent)
		}
	}
	if err != nil {
		return "", nil, fmt.Errorf("commit: %w", err)
	}
	return tree, parents, nil
}

// TagLink returns the object that a tag names.
func (f Format) TagLink(data []byte) (ID, error) {
	id, _, err := f.link("object ", data)
	if err != nil {
		return "", fmt.Errorf("tag: %w", err)
	}
	return id, nil
}

// link reads one line of a key and an id.
func (f Format) link(key string, data []byte) (ID, []byte, error) {
	line, rest, ok := bytes.Cut(data, []byte("\n"))
	text, found := strings.CutPrefix(string(line), key)
	if !ok || !found {
		return "", nil, fmt.Errorf("it has no line %q where git writes one", strings.TrimSpace(key))
	}
	id, err := f.ParseID(text)
	return id, rest, err
}

// TreeEntry is one name in a tree.
type TreeEntry struct {
	Mode string // octal, as it is written
	Name string
	ID   ID
}

// The modes that git writes into trees.
const (
	ModeTree      = "40000"
	ModeSubmodule = "160000"
)

var modes = map[string]bool{
	ModeTree: true, ModeSubmodule: true, "100644": true, "100755": true, "120000": true,
	"100664": true, // written by early versions
}

// TreeEntries returns what a tree holds. Names and modes that no git writes
// are errors.
func (f Format) TreeEntries(data []byte) ([]TreeEntry, error) {
	var entries []TreeEntry
	names := make(map[string]bool)
	for len(data) > 0 {
		space := bytes.IndexByte(data, ' ')
		if space < 0 || space > 6 {
			return nil, errors.New("tree: damaged")
		}
		mode := string(data[:space])
		data = data[space+1:]
		end := bytes.IndexByte(data, 0)
		if end < 0 || len(data) < end+1+f.Size() {
			return nil, errors.New("tree: damaged")
		}
		e := TreeEntry{Mode: mode, Name: string(data[:end]), ID: ID(data[end+1 : end+1+f.Size()])}
		data = data[end+1+f.Size():]
		if !modes[mode] {
			return nil, fmt.Errorf("tree: %.10q is no mode that git writes", mode)
		}
		switch {
		case e.Name == "", e.Name == ".", e.Name == "..", strings.EqualFold(e.Name, ".git"), strings.Contains(e.Name, "/"):
			return nil, errors.New("tree: it holds a name that git does not allow")
		case names[e.Name]:
			return nil, errors.New("tree: it holds a name twice")
		}
		names[e.Name] = true
		entries = append(entries, e)
	}
	return entries, nil
}
