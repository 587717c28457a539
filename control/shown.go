package control

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/claude-bottle/claude-bottle/internal/atomicfile"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/state"
)

// Has tells whether a bottle's queue has a proposal, answered or not.
func Has(dir state.Dir, id string) bool {
	q, err := proposal.Open(dir.Queue(), dir.Slug())
	if err != nil {
		return false
	}
	defer q.Close()
	_, err = q.Get(id)
	return err == nil
}

const (
	shownName = "shown.json"
	// maxShown is how many shown proposals are remembered: no honest bottle has
	// more, and what is forgotten is shown again.
	maxShown = 1000
)

// Shown remembers that the operator saw a proposal with this review, so that a
// later decision by the id alone is about exactly that one.
func (o *Operator) Shown(id, review string) error {
	unlock, err := o.lockFile(context.Background(), shownLock)
	if err != nil {
		return err
	}
	defer unlock()
	shown, err := o.shown()
	if err != nil {
		return err
	}
	if len(shown) >= maxShown {
		clear(shown)
	}
	shown[id] = review
	content, err := json.Marshal(shown)
	if err != nil {
		return err
	}
	return atomicfile.ReplaceDurably(filepath.Join(folder(o.dir), shownName), content, 0o600)
}

// WasShown tells whether Shown was told of a proposal.
func (o *Operator) WasShown(id string) bool {
	shown, err := o.shown()
	return err == nil && shown[id] != ""
}

// Seen is the review of the proposal as the operator saw it last; of one that
// was never shown, the one that it has.
func (o *Operator) Seen(id string) (review string, err error) {
	shown, err := o.shown()
	if err != nil {
		return "", err
	}
	if review := shown[id]; review != "" {
		return review, nil
	}
	q, err := o.queue()
	if err != nil {
		return "", err
	}
	defer q.Close()
	e, err := q.Get(id)
	return e.Review, err
}

func (o *Operator) shown() (map[string]string, error) {
	shown := make(map[string]string)
	content, err := os.ReadFile(filepath.Join(folder(o.dir), shownName))
	if errors.Is(err, fs.ErrNotExist) {
		return shown, nil
	}
	if err != nil {
		return nil, err
	}
	return shown, json.Unmarshal(content, &shown)
}
