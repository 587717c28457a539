package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/state"
)

// folder is where a bottle's changes are kept in order: on the operator's side
// alone, so that nothing of the bundle's has a say in what was decided.
func folder(dir state.Dir) string { return filepath.Join(string(dir), "control") }

const (
	lockName = "lock"
	// shownLock is around what was shown, which no change has to wait for.
	shownLock = "shown.lock"
	// lockWait is how long others may keep a change waiting.
	lockWait = 5 * time.Minute
	lockPoll = 10 * time.Millisecond
)

// lock waits until no other change of the bottle is on its way. The kernel
// gives the lock up when the process ends, however it ends.
func (o *Operator) lock(ctx context.Context) (unlock func(), err error) {
	return o.lockFile(ctx, lockName)
}

func (o *Operator) lockFile(ctx context.Context, name string) (unlock func(), err error) {
	file, err := o.openLock(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lockWait, errors.New("another change of the bottle does not end"))
	defer cancel()
	for {
		ours, err := take(file)
		switch {
		case err != nil:
			return nil, errors.Join(err, file.Close())
		case ours:
			return func() { _ = file.Close() }, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), file.Close())
		case <-time.After(lockPoll):
		}
	}
}

// tryLock is lock without waiting; unlock is nil when another has it.
func (o *Operator) tryLock() (unlock func(), err error) {
	file, err := o.openLock(lockName)
	if err != nil {
		return nil, err
	}
	ours, err := take(file)
	if !ours || err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}

func take(file *os.File) (bool, error) {
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("the lock of changes: %w", err)
	}
	return true, nil
}

func (o *Operator) openLock(name string) (*os.File, error) {
	if err := state.CheckSlug(o.o.Slug); err != nil {
		return nil, err
	}
	if _, err := os.Stat(string(o.dir)); err != nil {
		return nil, fmt.Errorf("bottle %s has no folder: %w", o.o.Slug, err)
	}
	if err := os.MkdirAll(folder(o.dir), 0o700); err != nil {
		return nil, fmt.Errorf("the folder of changes: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(folder(o.dir), name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the lock of changes: %w", err)
	}
	return file, nil
}
