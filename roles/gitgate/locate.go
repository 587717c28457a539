package gitgate

import (
	"context"
	"strings"

	"github.com/claude-bottle/claude-bottle/internal/gitpack"
)

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
