package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/claude-bottle/claude-bottle/internal/atomicfile"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/state"
)

// files are the configuration that a change is about; nil is a file that the
// bottle has not, or that stays as it is.
type files struct {
	Routes   []byte `json:"routes,omitempty"`
	Pipelock []byte `json:"pipelock,omitempty"`
}

// journal is a change on its way, written down before anything is touched. Only
// what stands here was decided by the operator: a decision in the queue, which
// the bundle can write to, is believed in no other case.
type journal struct {
	Started time.Time `json:"started"`
	// What the operator did, for the audit log.
	What string `json:"what"`
	// Undo says that the change failed and is being taken back.
	Undo bool `json:"undo,omitempty"`
	// Decision is the answer to be; nil when no proposal is answered.
	Decision *proposal.Response `json:"decision,omitempty"`
	// Kind and Rule are the proposal's.
	Kind proposal.Kind   `json:"kind,omitempty"`
	Rule json.RawMessage `json:"rule,omitempty"`
	// Before and After are the configuration, Wide the firewall's in between.
	Before files  `json:"before"`
	Wide   []byte `json:"wide,omitempty"`
	After  files  `json:"after"`
}

const journalName = "unfinished.json"

func journalPath(dir state.Dir) string { return filepath.Join(folder(dir), journalName) }

// Unfinished tells whether a process was killed while it changed the bottle, or
// is changing it now.
func Unfinished(dir state.Dir) bool {
	_, err := os.Lstat(journalPath(dir))
	return err == nil
}

// loadJournal returns nil when nothing is unfinished. The caller holds the lock.
func loadJournal(dir state.Dir) (*journal, error) {
	content, err := os.ReadFile(journalPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the unfinished change: %w", err)
	}
	j := new(journal)
	if err := json.Unmarshal(content, j); err != nil {
		return nil, fmt.Errorf("the unfinished change in %s: %w; compare the bottle's files and remove it", journalPath(dir), err)
	}
	return j, nil
}

func (j *journal) save(dir state.Dir) error {
	content, err := json.Marshal(j)
	if err != nil {
		return err
	}
	if err := atomicfile.ReplaceDurably(journalPath(dir), content, 0o600); err != nil {
		return fmt.Errorf("writing the change down: %w", err)
	}
	return nil
}

func (j *journal) remove(dir state.Dir) error {
	if err := os.Remove(journalPath(dir)); err != nil {
		return err
	}
	return atomicfile.SyncFolder(folder(dir))
}
