package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/internal/atomicfile"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

// The files in state.Dir's Run folder.
const (
	recordFile = "docker.json"
	lockFile   = "docker.lock"
)

// record is what a bottle leaves on the disk about itself until it is removed,
// so that any process finds what no engine knows of.
type record struct {
	Slug      string    `json:"slug"`
	Agent     string    `json:"agent"`
	State     string    `json:"state"` // "starting" or "running"
	Since     time.Time `json:"since"`
	Workspace string    `json:"workspace"`
}

// keeper holds a bottle's record while its `bottle up` lives. The kernel gives
// the claim up when the process ends, however it ends.
type keeper struct {
	dir    state.Dir
	lock   *os.File
	record record
}

// claim makes this process the one that starts the bottle.
func claim(p *plan.Plan) (*keeper, error) {
	if err := os.MkdirAll(p.State.Run(), 0o700); err != nil {
		return nil, err
	}
	lock, err := lockRun(p.State)
	if err != nil {
		return nil, err
	}
	if lock == nil {
		return nil, fmt.Errorf("bottle %s is running already; `bottle down %s` ends it", p.Slug, p.Slug)
	}
	k := &keeper{dir: p.State, lock: lock, record: record{Slug: p.Slug, Agent: p.Agent, Since: time.Now().UTC(), Workspace: p.Workspace}}
	if err := k.update("starting"); err != nil {
		lock.Close()
		return nil, err
	}
	return k, nil
}

// lockRun takes a bottle's lock; nil when another process has it.
func lockRun(dir state.Dir) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir.Run(), lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, err
	}
	return lock, nil
}

// hasUp tells whether a bottle's `bottle up` lives.
func hasUp(dir state.Dir) bool {
	if _, err := os.Stat(filepath.Join(dir.Run(), lockFile)); err != nil {
		return false
	}
	lock, err := lockRun(dir)
	if err != nil {
		return false
	}
	if lock == nil {
		return true
	}
	lock.Close()
	return false
}

func (k *keeper) update(state string) error {
	k.record.State = state
	content, err := json.Marshal(k.record)
	if err != nil {
		return err
	}
	return atomicfile.Replace(filepath.Join(k.dir.Run(), recordFile), content, 0o600)
}

// release gives the claim up.
func (k *keeper) release() { k.lock.Close() }

// readRecord reads a bottle's record; fs.ErrNotExist when there is none.
func readRecord(dir state.Dir) (record, error) {
	var r record
	content, err := os.ReadFile(filepath.Join(dir.Run(), recordFile))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(content, &r); err != nil {
		return r, fmt.Errorf("the record of %s is damaged: %w", dir.Slug(), err)
	}
	r.Slug = dir.Slug()
	return r, nil
}

func removeRecord(dir state.Dir) error {
	err := os.Remove(filepath.Join(dir.Run(), recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
