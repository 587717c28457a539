package supervise

import (
	"bytes"
	"cmp"
	"container/list"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/mark3labs/mcp-go/server"
)

const (
	// maxEventBytes bounds what all sessions' streams keep for clients that
	// come back, and eventCost is what one event takes besides its text.
	maxEventBytes = 16 << 20
	eventCost     = 512
)

// events keeps what streams were told, for clients that take them up again. It
// is bounded in all: the oldest goes first, whosever it is, and a client that
// comes back for it is told that it is not known.
type events struct {
	limit int

	mu       sync.Mutex
	seq      uint64
	bytes    int
	order    *list.List // of *storedEvent, oldest first
	sessions map[string][]*list.Element
}

type storedEvent struct {
	seq             uint64
	session, stream string
	message         json.RawMessage
}

var _ server.EventStore = (*events)(nil)

func newEvents(limit int) *events {
	return &events{limit: limit, order: list.New(), sessions: make(map[string][]*list.Element)}
}

func (e *storedEvent) id() string { return strconv.FormatUint(e.seq, 10) }

func (e *storedEvent) cost() int {
	return len(e.message) + len(e.session) + len(e.stream) + eventCost
}

func stored(element *list.Element) *storedEvent { return element.Value.(*storedEvent) }

// StoreEvent implements server.EventStore.
func (s *events) StoreEvent(_ context.Context, session, stream string, message json.RawMessage) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	event := &storedEvent{s.seq, session, stream, bytes.Clone(message)}
	s.sessions[session] = append(s.sessions[session], s.order.PushBack(event))
	s.bytes += event.cost()
	for s.bytes > s.limit {
		s.dropOldest()
	}
	return event.id(), nil
}

// dropOldest needs mu. The oldest of all is the oldest of its session.
func (s *events) dropOldest() {
	oldest := stored(s.order.Front())
	s.order.Remove(s.order.Front())
	s.bytes -= oldest.cost()
	rest := s.sessions[oldest.session][1:]
	if len(rest) == 0 {
		delete(s.sessions, oldest.session)
		return
	}
	s.sessions[oldest.session] = rest
}

// ReplayEventsAfter implements server.EventStore.
func (s *events) ReplayEventsAfter(_ context.Context, session, last string, send func(string, json.RawMessage) error) (string, error) {
	stream, missed, err := s.after(session, last)
	if err != nil {
		return "", err
	}
	for _, event := range missed {
		if err := send(event.id(), event.message); err != nil {
			return "", err
		}
	}
	return stream, nil
}

// after returns the stream of the event named last and what followed on it.
func (s *events) after(session, last string) (stream string, missed []*storedEvent, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.sessions[session]
	seq, err := strconv.ParseUint(last, 10, 64)
	at, ok := slices.BinarySearchFunc(all, seq, func(element *list.Element, want uint64) int {
		return cmp.Compare(stored(element).seq, want)
	})
	if err != nil || !ok {
		return "", nil, fmt.Errorf("%w: it is not kept any more, or never was", server.ErrUnknownEventID)
	}
	stream = stored(all[at]).stream
	for _, element := range all[at+1:] {
		if event := stored(element); event.stream == stream {
			missed = append(missed, event)
		}
	}
	return stream, missed, nil
}

// PurgeSession implements server.EventStore.
func (s *events) PurgeSession(_ context.Context, session string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, element := range s.sessions[session] {
		s.bytes -= stored(element).cost()
		s.order.Remove(element)
	}
	delete(s.sessions, session)
	return nil
}
