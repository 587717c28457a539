package gitgate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

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
	offline bool // the upstream is not asked
	// borders are commits that the push builds on and does not hold; nil =
	// not yet looked for.
	borders []gitpack.ID
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
	return nil
}

// get returns an object's content. For one that is not here the upstream is
// asked: first for the commits that the push builds on, then for the object,
// each together with all that is in it.
func (o *objects) get(ctx context.Context, id gitpack.ID) (gitpack.Type, []byte, error) {
	o.findBorders()
	for {
		t, data, err := o.local(id)
		if !errors.Is(err, io.EOF) {
			return t, data, err
		}
		if o.offline {
			return 0, nil, fmt.Errorf("%s is not here", id)
		}
		wanted := id
		if len(o.borders) > 0 {
			wanted, o.borders = o.borders[0], o.borders[1:]
		}
		if err := o.fetch(func() (*fetchedPack, error) { return o.lookup.snapshot(ctx, wanted) }); err != nil {
			return 0, nil, err
		}
		if _, _, err := o.local(id); wanted == id && errors.Is(err, io.EOF) {
			return 0, nil, fmt.Errorf("the upstream did not send %s", id)
		}
	}
}

// maxBorders is how many of the commits a push builds on are asked for.
const maxBorders = 3

func (o *objects) findBorders() {
	if o.borders != nil || o.pack == nil {
		return
	}
	o.borders = []gitpack.ID{}
	for n := 0; n < o.pack.Len() && len(o.borders) < maxBorders; n++ {
		id, t := o.pack.At(n)
		if t != gitpack.Commit {
			continue
		}
		_, data, err := o.pack.Get(id)
		if err != nil {
			continue
		}
		_, parents, _ := o.format.CommitLinks(data)
		for _, parent := range parents {
			if o.pack.Type(parent) == 0 && !slices.Contains(o.borders, parent) {
				o.borders = append(o.borders, parent)
			}
		}
	}
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
