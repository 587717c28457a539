package control

import (
	"errors"
	"io/fs"

	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/state"
)

var errNoQueue = errors.New("the bottle has no queue: its agent cannot ask")

// queue opens the operator's side of the bottle's queue.
func (o *Operator) queue() (*proposal.Queue, error) {
	q, err := proposal.Open(o.dir.Queue(), o.o.Slug)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoQueue
	}
	return q, err
}

// Waiting lists a bottle's proposals that nobody answered yet, oldest first,
// without asking the bottle. problems are files in the queue that are not what
// they should be. A bottle without queue has none.
func Waiting(dir state.Dir) (waiting []proposal.Entry, problems []error, err error) {
	q, err := proposal.Open(dir.Queue(), dir.Slug())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer q.Close()
	entries, problems, err := q.List()
	for _, e := range entries {
		if e.Response == nil {
			waiting = append(waiting, e)
		}
	}
	return waiting, problems, err
}
