package pipelock

import (
	"context"
	"errors"
	"sync"
	"time"
)

// maxDraining bounds the replaced children that still live; with the one in
// force and the one that starts, two more processes may run.
const maxDraining = 12

// drain lets replaced children finish their connections.
type drain struct {
	limit, room, grace time.Duration // DrainLimit, RoomWait, StopGrace
	slots              chan struct{}

	mu    sync.Mutex
	queue []*draining // oldest first
}

// draining is a replaced child; closing hurry ends its patience.
type draining struct {
	child *child
	hurry chan struct{}
}

func newDrain(limit, room, grace time.Duration) *drain {
	return &drain{limit: limit, room: room, grace: grace, slots: make(chan struct{}, maxDraining)}
}

// acquire waits until one more child may drain, at the cost of the oldest if it
// must. It fails when ctx ends or the current child dies.
func (d *drain) acquire(ctx context.Context, current *child) error {
	patience := time.NewTimer(d.room)
	defer patience.Stop()
	for {
		select {
		case d.slots <- struct{}{}:
			return nil
		case <-patience.C:
			d.hurryOldest()
		case <-current.done:
			return errors.New("the child died")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *drain) release() { <-d.slots }

func (d *drain) hurryOldest() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) > 0 {
		close(d.queue[0].hurry)
		d.queue = d.queue[1:]
	}
}

// finish stops a retired child once its last connection is closed, the limit
// has passed, its place is needed or ctx ends. It frees the place. died tells
// that it ended of itself.
func (d *drain) finish(ctx context.Context, c *child) (died bool) {
	defer d.release()
	entry := &draining{c, make(chan struct{})}
	d.mu.Lock()
	d.queue = append(d.queue, entry)
	d.mu.Unlock()
	limit := time.NewTimer(d.limit)
	defer limit.Stop()
	select {
	case <-c.idle:
	case <-c.done:
	case <-limit.C:
	case <-entry.hurry:
	case <-ctx.Done():
	}
	d.mu.Lock()
	for i, e := range d.queue {
		if e == entry {
			d.queue = append(d.queue[:i:i], d.queue[i+1:]...)
			break
		}
	}
	d.mu.Unlock()
	died = c.dead()
	c.stop(d.grace)
	return died
}
