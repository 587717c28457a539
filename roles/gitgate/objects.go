package gitgate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/claude-bottle/claude-bottle/internal/gitpack"
)

// maxTreeDepth is how deep folders are followed.
const maxTreeDepth = 200

// maxLookups is how often the upstream is asked about one push.
const maxLookups = 20

// objects finds commits and trees: first in the push, then among those that
// are known of the upstream, at last by asking the upstream.
type objects struct {
	pack    *gitpack.Pack // of the push; nil when it only deletes
	format  gitpack.Format
	memory  *memory
	lookup  *lookup
	fetched []*fetchedPack
	lookups int
}

// close gives up what was fetched.
func (o *objects) close() {
	for _, f := range o.fetched {
		f.Close()
	}
}

// local returns an object without asking the upstream; io.EOF when that is
// not possible.
func (o *objects) local(id gitpack.ID) (gitpack.Type, []byte, error) {
	if o.pack != nil {
		if t, data, err := o.pack.Get(id); !errors.Is(err, io.EOF) {
			return t, data, err
		}
	}
	if known, ok := o.memory.get(id); ok {
		return known.t, known.data, nil
	}
	for _, f := range o.fetched {
		if t, data, err := f.Get(id); !errors.Is(err, io.EOF) {
			return t, data, err
		}
	}
	return 0, nil, io.EOF
}

// fetch asks the upstream and adds what it sends.
func (o *objects) fetch(ask func() (*fetchedPack, error)) error {
	if o.lookups++; o.lookups > maxLookups {
		return errors.New("too much of it is only at the upstream")
	}
	fetched, err := ask()
	if err != nil {
		return err
	}
	o.fetched = append(o.fetched, fetched)
	o.memory.keep(fetched.Pack)
	return nil
}

// get returns an object's content. For one that is not here the upstream is
// asked, together with all that belongs to it.
func (o *objects) get(ctx context.Context, id gitpack.ID) (gitpack.Type, []byte, error) {
	t, data, err := o.local(id)
	if !errors.Is(err, io.EOF) {
		return t, data, err
	}
	if err := o.fetch(func() (*fetchedPack, error) { return o.lookup.snapshot(ctx, id) }); err != nil {
		return 0, nil, err
	}
	if t, data, err = o.local(id); errors.Is(err, io.EOF) {
		err = fmt.Errorf("the upstream did not send %s", id)
	}
	return t, data, err
}

// tree returns the entries of a tree.
func (o *objects) tree(ctx context.Context, id gitpack.ID) ([]gitpack.TreeEntry, error) {
	t, data, err := o.get(ctx, id)
	if err != nil {
		return nil, err
	}
	if t != gitpack.Tree {
		return nil, fmt.Errorf("%s is a %s, not a tree", id, t)
	}
	return o.format.TreeEntries(data)
}

// rootTree is the tree that a commit, a tag or a tree stands for; "" when it
// stands for a blob.
func (o *objects) rootTree(ctx context.Context, id gitpack.ID) (gitpack.ID, error) {
	const mostTags = 10 // a tag of a tag of a tag
	for range mostTags {
		t, data, err := o.get(ctx, id)
		if err != nil {
			return "", err
		}
		switch t {
		case gitpack.Tree:
			return id, nil
		case gitpack.Blob:
			return "", nil
		case gitpack.Commit:
			tree, _, err := o.format.CommitLinks(data)
			return tree, err
		case gitpack.Tag:
			if id, err = o.format.TagLink(data); err != nil {
				return "", err
			}
		}
	}
	return "", errors.New("a tag of a tag of a tag, and so on")
}

// memory keeps commits and trees that the upstream has, so that it need not be
// asked again. Their ids were computed from their content, so they never get
// old.
type memory struct {
	mu    sync.Mutex
	known map[gitpack.ID]known
	size  int64
}

type known struct {
	t    gitpack.Type
	data []byte
}

const (
	// memorySize is when a memory is emptied; memoryObject, what is too large
	// for it.
	memorySize   = 16 << 20
	memoryObject = 1 << 20
)

func (m *memory) get(id gitpack.ID) (known, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.known[id]
	return k, ok
}

// keep remembers the commits and trees of a pack.
func (m *memory) keep(pack *gitpack.Pack) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := range pack.Len() {
		id, t := pack.At(n)
		if _, ok := m.known[id]; ok || t != gitpack.Commit && t != gitpack.Tree {
			continue
		}
		if _, data, err := pack.Get(id); err == nil && len(data) <= memoryObject {
			if m.size > memorySize || m.known == nil {
				m.known, m.size = make(map[gitpack.ID]known), 0
			}
			m.known[id] = known{t, data}
			m.size += int64(len(data))
		}
	}
}
