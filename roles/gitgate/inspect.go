package gitgate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/claude-bottle/claude-bottle/internal/gitpack"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

const (
	// maxFindings is how many different secrets one refusal names.
	maxFindings = 10
	// maxCounted is where counting them ends.
	maxCounted = 10_000
)

// inspector scans every object of a push. It reads nothing that the push says
// about scanning.
type inspector struct {
	format gitpack.Format
	found  []found
	// named and all are the fingerprints in found, and of whatever was found.
	named, all map[string]bool
	// naming stops at what is neither cleared nor named; counting never does.
	naming, counting *secretscan.Scanner
}

// found is a secret in a push.
type found struct {
	rule        string
	fingerprint string
	line        int
	// object is the entry of the pack it stands in, -1 outside of the pack;
	// what is in words what it stands in when that is no blob.
	object int
	what   string
}

// newInspector scans for one repository; cleared knows the findings that the
// operator let pass.
func newInspector(scanner *secretscan.Scanner, repository string, cleared func(secretscan.Finding) bool) *inspector {
	i := &inspector{named: make(map[string]bool), all: make(map[string]bool)}
	i.naming = scanner.For("git/"+repository, func(f secretscan.Finding) bool {
		return i.named[f.Fingerprint] || cleared(f)
	})
	i.counting = scanner.For("git/"+repository, func(f secretscan.Finding) bool {
		if !cleared(f) && len(i.all) < maxCounted {
			i.all[f.Fingerprint] = true
		}
		return true
	})
	return i
}

// unnamed is how many different secrets were found beside those in found.
func (i *inspector) unnamed() int { return len(i.all) - len(i.found) }

// text scans what is held, counts the different secrets and notes the first.
func (i *inspector) text(object int, what string, data []byte) {
	before := len(i.all)
	i.counting.Bytes(what, data)
	for len(i.all) > before && len(i.found) < maxFindings {
		f := i.naming.Bytes(what, data)
		if f == nil {
			return
		}
		i.note(object, what, f)
	}
}

func (i *inspector) note(object int, what string, f *secretscan.Finding) {
	i.named[f.Fingerprint] = true
	i.found = append(i.found, found{rule: f.Rule, fingerprint: f.Fingerprint, line: f.Line, object: object, what: what})
}

// Object implements gitpack.Visitor.
func (i *inspector) Object(n int, _ gitpack.ID, t gitpack.Type, data []byte) error {
	switch t {
	case gitpack.Tree:
		entries, err := i.format.TreeEntries(data)
		if err != nil {
			return err
		}
		i.text(n, "a file name", names(entries))
	case gitpack.Commit:
		if _, _, err := i.format.CommitLinks(data); err != nil {
			return err
		}
		i.headed(n, "the author or header", "the message", data)
	case gitpack.Tag:
		if _, err := i.format.TagLink(data); err != nil {
			return err
		}
		i.headed(n, "the tagger or header", "the message", data)
	case gitpack.Blob:
		i.text(n, "", data)
	default:
		return errors.New("an object of no known type")
	}
	return nil
}

// headed scans a header and the text after its empty line: together, so that
// nothing is hidden at the border, but told apart in the finding.
func (i *inspector) headed(n int, header, message string, data []byte) {
	before := len(i.found)
	i.text(n, header, data)
	end := bytes.Index(data, []byte("\n\n"))
	if end < 0 {
		return
	}
	headerLines := bytes.Count(data[:end], []byte("\n")) + 2
	for k := before; k < len(i.found); k++ {
		if f := &i.found[k]; f.line > headerLines {
			f.line -= headerLines
			f.what = message
		}
	}
}

// Blob implements gitpack.Visitor.
func (i *inspector) Blob(n int, _ int64, content io.Reader, again func() (io.Reader, error)) error {
	before := len(i.all)
	if _, err := io.Copy(io.Discard, i.counting.Reader("", content)); err != nil {
		return err
	}
	for len(i.all) > before && len(i.found) < maxFindings {
		content, err := again()
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, i.naming.Reader("", content))
		finding, ok := errors.AsType[*secretscan.Finding](err)
		if !ok {
			return err
		}
		i.note(n, "", finding)
	}
	return nil
}

// names joins what in a tree is free to be chosen: names, and the commits of
// submodules, which nobody looks up.
func names(entries []gitpack.TreeEntry) []byte {
	var text bytes.Buffer
	for _, e := range entries {
		text.WriteString(e.Name)
		text.WriteByte('\n')
	}
	for _, e := range entries {
		if e.Mode == gitpack.ModeSubmodule {
			text.WriteString(string(e.ID))
			text.WriteByte('\n')
		}
	}
	return text.Bytes()
}

// locate finds, for blobs and trees of the pack, a path and the oldest commit
// of the pack that holds them.
func locate(ctx context.Context, pack *gitpack.Pack, format gitpack.Format, wanted map[gitpack.ID]bool) map[gitpack.ID]place {
	l := &locator{pack: pack, format: format, wanted: wanted, found: make(map[gitpack.ID]place), seen: make(map[gitpack.ID]bool)}
	for n := pack.Len() - 1; n >= 0 && len(l.found) < len(wanted) && ctx.Err() == nil; n-- { // git writes the newest first
		id, t := pack.At(n)
		if t != gitpack.Commit {
			continue
		}
		_, data, err := pack.Get(id)
		if err != nil {
			continue
		}
		if tree, _, err := format.CommitLinks(data); err == nil {
			l.walk(tree, nil, id)
		}
	}
	return l.found
}

// place is where an object stands.
type place struct {
	path   string // empty for the root
	commit gitpack.ID
}

type locator struct {
	pack         *gitpack.Pack
	format       gitpack.Format
	wanted, seen map[gitpack.ID]bool
	found        map[gitpack.ID]place
}

func (l *locator) walk(tree gitpack.ID, path []string, commit gitpack.ID) {
	l.note(tree, path, commit)
	if l.seen[tree] || len(path) > maxTreeDepth {
		return
	}
	l.seen[tree] = true
	t, data, err := l.pack.Get(tree)
	if err != nil || t != gitpack.Tree {
		return // the upstream has it, and what is in it
	}
	entries, err := l.format.TreeEntries(data)
	if err != nil {
		return
	}
	for _, e := range entries {
		inside := append(path[:len(path):len(path)], e.Name)
		if e.Mode == gitpack.ModeTree {
			l.walk(e.ID, inside, commit)
		} else {
			l.note(e.ID, inside, commit)
		}
	}
}

func (l *locator) note(id gitpack.ID, path []string, commit gitpack.ID) {
	if _, known := l.found[id]; l.wanted[id] && !known {
		l.found[id] = place{strings.Join(path, "/"), commit}
	}
}
