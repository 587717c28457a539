package supervise

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/mark3labs/mcp-go/server"
)

// heap is what is in use, in MiB.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc >> 20)
}

func TestWhatStreamsWereToldIsBounded(t *testing.T) {
	for _, c := range []struct {
		what  string
		size  int
		count int
	}{{"large messages", 256 << 10, 400}, {"small messages", 10, 300_000}} {
		t.Run(c.what, func(t *testing.T) {
			message := bytes.Repeat([]byte("x"), c.size)
			grown := func(store server.EventStore) int {
				before := heap()
				for i := range c.count {
					if _, err := store.StoreEvent(t.Context(), fmt.Sprint("session-", i%64), fmt.Sprint("stream-", i), message); err != nil {
						t.Fatal(err)
					}
				}
				defer runtime.KeepAlive(store)
				return heap() - before
			}
			if got := grown(server.NewInMemoryEventStore()); got < 48 {
				t.Fatalf("a store without a bound grew by %d MiB only: this shows nothing", got)
			}
			if got := grown(newEvents(maxEventBytes)); got > 24 {
				t.Errorf("the store grew by %d MiB", got)
			}
		})
	}
}

func TestTheOldestEventsGoFirst(t *testing.T) {
	store := newEvents(4 * (eventCost + 10))
	ids := make(map[string]string)
	put := func(session, stream, text string) {
		t.Helper()
		id, err := store.StoreEvent(t.Context(), session, stream, json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		ids[text] = id
	}
	replay := func(session, after string) (got []string, err error) {
		_, err = store.ReplayEventsAfter(context.Background(), session, ids[after], func(_ string, m json.RawMessage) error {
			got = append(got, string(m))
			return nil
		})
		return got, err
	}
	for i, place := range [][2]string{{"a", "s"}, {"b", "s"}, {"a", "s"}, {"a", "other"}, {"a", "s"}} {
		put(place[0], place[1], fmt.Sprint("e", i))
	}
	if _, err := replay("a", "e0"); !errors.Is(err, server.ErrUnknownEventID) {
		t.Errorf("the oldest: %v", err)
	}
	if got, err := replay("a", "e2"); err != nil || fmt.Sprint(got) != "[e4]" {
		t.Errorf("what followed on the stream: %v, %v", got, err)
	}
	if _, err := replay("b", "e2"); !errors.Is(err, server.ErrUnknownEventID) {
		t.Errorf("another session's event: %v", err)
	}
	if err := store.PurgeSession(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := replay("a", "e2"); !errors.Is(err, server.ErrUnknownEventID) {
		t.Errorf("of a session that ended: %v", err)
	}
	if got, err := replay("b", "e1"); err != nil || len(got) != 0 {
		t.Errorf("the other session: %v, %v", got, err)
	}
	put("b", "s", string(bytes.Repeat([]byte("x"), 5000))) // more than all may be
	if store.bytes != 0 || store.order.Len() != 0 || len(store.sessions) != 0 {
		t.Errorf("%d bytes, %d events, %d sessions are kept", store.bytes, store.order.Len(), len(store.sessions))
	}
}
