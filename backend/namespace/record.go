//go:build linux

package namespace

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/internal/atomicfile"
	"github.com/claude-bottle/claude-bottle/state"
)

// record is what a bottle leaves on the disk about itself while it lives, so
// that any process finds all of it, also after a kill -9.
type record struct {
	Slug  string    `json:"slug"`
	Agent string    `json:"agent"`
	State string    `json:"state"` // "starting" or "running"
	Since time.Time `json:"since"`
	// Boot is the kernel's boot_id: no process outlives it.
	Boot    string    `json:"boot"`
	Up      processID `json:"up"`
	Init    processID `json:"init"`
	Bundle  processID `json:"bundle"`
	Cgroups cgroups   `json:"cgroups,omitempty"`
}

// processID names a process for good: the kernel reuses numbers, but not with
// the same start.
type processID struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot
}

// identify returns the present process of that number.
func identify(pid int) processID {
	start, err := startOf(pid)
	if err != nil {
		return processID{}
	}
	return processID{PID: pid, Start: start}
}

func (p processID) alive() bool {
	if p.PID == 0 {
		return false
	}
	start, err := startOf(p.PID)
	return err == nil && start == p.Start
}

// startOf reads field 22 of /proc/PID/stat, proc_pid_stat(5). A zombie has
// ended.
func startOf(pid int) (uint64, error) {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(content[bytes.LastIndexByte(content, ')')+1:]), " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat is not as expected", pid)
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, os.ErrProcessDone
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

func bootID() string {
	content, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

// alive tells whether the bottle's `bottle up` runs.
func (r record) alive() bool { return r.Boot == bootID() && r.Up.alive() }

// processes are the bottle's processes that live, by what they are.
func (r record) processes() map[string]processID {
	live := make(map[string]processID)
	if r.Boot != bootID() {
		return live
	}
	for name, p := range map[string]processID{"init": r.Init, "bundle": r.Bundle} {
		if p.alive() {
			live[name] = p
		}
	}
	return live
}

func (r record) status() backend.Status {
	s := backend.Status{Slug: r.Slug, Backend: Name, Agent: r.Agent, State: r.State, Since: r.Since.Format(time.RFC3339)}
	if !r.alive() {
		s.State = "dead"
	}
	return s
}

// The files in state.Dir's Run folder.
const (
	recordFile    = "run.json"
	lockFile      = "lock"
	controlSocket = "control.sock"
	healthSocket  = "health.sock"
)

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

// keeper holds a bottle's record while it lives.
type keeper struct {
	dir  state.Dir
	lock *os.File

	mu     sync.Mutex
	record record
}

// claim makes this process the one that runs the bottle. The kernel gives the
// claim up when the process ends, however it ends.
func claim(dir state.Dir, agent string) (*keeper, error) {
	if err := os.MkdirAll(dir.Run(), 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir.Run(), lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("bottle %s is running already; `bottle down %s` ends it", dir.Slug(), dir.Slug())
	}
	if err := removeLeftovers(dir); err != nil { // of one that was killed
		lock.Close()
		return nil, fmt.Errorf("bottle %s was killed before and left things behind: %w", dir.Slug(), err)
	}
	k := &keeper{dir: dir, lock: lock, record: record{
		Slug: dir.Slug(), Agent: agent, State: "starting", Since: time.Now().UTC(), Boot: bootID(), Up: identify(os.Getpid()),
	}}
	return k, k.update(func(*record) {})
}

// update changes the record and writes it.
func (k *keeper) update(change func(*record)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(&k.record)
	content, err := json.Marshal(k.record)
	if err != nil {
		return err
	}
	return atomicfile.Replace(filepath.Join(k.dir.Run(), recordFile), content, 0o600)
}

// release forgets the bottle.
func (k *keeper) release() error {
	err := removeRecord(k.dir)
	k.lock.Close()
	return err
}

// removeRecord removes a bottle's record and sockets. The rest of its folder
// stays: it holds what the bundle wrote down.
func removeRecord(dir state.Dir) error {
	var failed []error
	for _, name := range []string{controlSocket, healthSocket} {
		path, err := dir.Socket(name)
		if err == nil {
			err = os.Remove(path)
		}
		failed = append(failed, err)
	}
	failed = append(failed, os.Remove(filepath.Join(dir.Run(), recordFile)))
	for i, err := range failed {
		if errors.Is(err, fs.ErrNotExist) {
			failed[i] = nil
		}
	}
	return errors.Join(failed...)
}
