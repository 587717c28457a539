//go:build linux

package namespace

import (
	"io"
	"os"
	"sync"
	"time"
)

// seatPatience is how long the agent's output waits for an attached terminal
// that takes none before that terminal is left behind.
const seatPatience = time.Second

// stage is what the output of the agent's command goes through: to where it
// always goes and to everybody attached. Writing to it never fails, so that
// nobody who leaves silences the others.
type stage struct {
	mu    sync.Mutex
	first io.Writer                  // nil = nowhere, or it failed
	seats map[*os.File]chan struct{} // closed when the seat is
	ended chan struct{}              // closed when nothing more comes
	left  sync.WaitGroup
}

func newStage(first io.Writer) *stage {
	return &stage{first: first, seats: make(map[*os.File]chan struct{}), ended: make(chan struct{})}
}

// Write implements io.Writer.
func (s *stage) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first != nil {
		if _, err := s.first.Write(p); err != nil {
			s.first = nil
		}
	}
	for seat := range s.seats {
		_ = seat.SetWriteDeadline(time.Now().Add(seatPatience))
		if _, err := seat.Write(p); err != nil {
			s.close(seat)
		}
	}
	return len(p), nil
}

// join adds a pipe's writing end, which the stage closes, and with it dropped;
// nil when there is nothing to hear any more. Who joined calls left.Done in the
// end.
func (s *stage) join(seat *os.File) (dropped <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.ended:
		seat.Close()
		return nil
	default:
	}
	closed := make(chan struct{})
	s.seats[seat] = closed
	s.left.Add(1)
	return closed
}

func (s *stage) leave(seat *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close(seat)
}

func (s *stage) close(seat *os.File) {
	if closed, ok := s.seats[seat]; ok {
		delete(s.seats, seat)
		seat.Close()
		close(closed)
	}
}

// end tells everybody attached that no more comes, and returns when they know.
func (s *stage) end() {
	s.mu.Lock()
	close(s.ended)
	for seat := range s.seats {
		s.close(seat)
	}
	s.mu.Unlock()
	s.left.Wait()
}
