package supervise

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/mark3labs/mcp-go/server"
)

// sessions stands before the library's transport and keeps the sessions
// itself. To the library every request is one of its own, which gives each its
// own stream of notifications (a session's concurrent requests share one
// there). A session's name is the key under which streams can be resumed; one
// that is not known, because the bundle was restarted, is taken up again. What
// is kept for sessions is bounded, whatever names an agent thinks of.
type sessions struct {
	transport *server.StreamableHTTPServer

	mu    sync.Mutex
	live  *lru.Cache[string, *session]
	ended *lru.Cache[string, bool]
	stale []string // sessions the library has to forget once mu is free
}

// session is what one session costs.
type session struct{ running, streams int }

const (
	maxSessions = 64
	// A session's finished streams are forgotten when there are so many and
	// nothing is running, or so many more.
	enoughStreams, maxStreams = 200, 500

	maxBody = 256 << 10
	// maxName bounds what a client calls its requests: it is said back to it
	// again and again, and kept.
	maxName     = 256
	bodyTimeout = 30 * time.Second

	sessionHeader = server.HeaderKeySessionID
)

func newSessions(transport *server.StreamableHTTPServer) *sessions {
	s := &sessions{transport: transport}
	var err1, err2 error
	s.live, err1 = lru.NewWithEvict(maxSessions, func(name string, _ *session) { s.stale = append(s.stale, name) })
	s.ended, err2 = lru.New[string, bool](maxSessions)
	if err := errors.Join(err1, err2); err != nil {
		panic(err) // the sizes above are wrong
	}
	return s
}

func (s *sessions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.Header.Get(sessionHeader)
	if len(name) > 64 || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' }) || s.over(name) {
		http.Error(w, "supervise: no such session, initialize a new one", http.StatusNotFound)
		return
	}
	switch r.Method {
	case http.MethodPost:
		s.post(w, r, name)
	case http.MethodGet:
		// There is nothing to tell outside of calls: only a call's own stream
		// can be taken up again.
		if r.Header.Get("Last-Event-ID") == "" {
			w.Header().Set("Allow", "POST, DELETE")
			http.Error(w, "supervise: no stream outside of calls", http.StatusMethodNotAllowed)
			return
		}
		s.transport.ServeHTTP(w, r)
	case http.MethodDelete:
		s.end(name)
		w.WriteHeader(http.StatusOK)
	default:
		w.Header().Set("Allow", "POST, GET, DELETE")
		http.Error(w, "supervise: method not allowed", http.StatusMethodNotAllowed)
	}
}

func (s *sessions) post(w http.ResponseWriter, r *http.Request, name string) {
	// A body that does not come must not hold a connection; the answer may take
	// as long as it likes.
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "supervise: the request could not be read", status)
		return
	}
	_ = connection.SetReadDeadline(time.Time{})
	m, err := parseMessage(body)
	if m.longNames() {
		http.Error(w, "supervise: a request's id or progress token is too long", http.StatusBadRequest)
		return
	}
	if err == nil && m.Method == "initialize" {
		name = rand.Text()
		w.Header().Set(sessionHeader, name)
	}
	r.Header.Set(sessionHeader, name)
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.begin(name)
	defer func() { s.done(name, strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream")) }()
	s.transport.ServeHTTP(w, r)
}

// message is what has to be known of a JSON-RPC message here.
type message struct {
	Method string
	ID     json.RawMessage
	Params struct {
		Meta map[string]json.RawMessage `json:"_meta"`
	}
}

// parseMessage returns what could be read even when it returns an error: the
// library may read more.
func parseMessage(body []byte) (message, error) {
	var m message
	err := json.Unmarshal(body, &m)
	return m, err
}

func (m message) longNames() bool {
	return len(m.ID) > maxName || len(m.Params.Meta["progressToken"]) > maxName
}

func (s *sessions) over(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended.Contains(name)
}

// change changes what is kept and then lets the library forget what went. That
// may wait for a slow client, so it holds up nobody else.
func (s *sessions) change(f func()) {
	s.mu.Lock()
	f()
	stale := s.stale
	s.stale = nil
	s.mu.Unlock()
	for _, name := range stale {
		s.forget(name)
	}
}

func (s *sessions) begin(name string) {
	s.change(func() {
		one, ok := s.live.Get(name)
		if !ok {
			one = new(session)
			s.live.Add(name, one)
		}
		one.running++
	})
}

func (s *sessions) done(name string, streamed bool) {
	s.change(func() {
		one, ok := s.live.Peek(name)
		if !ok { // it was pushed out while this call ran
			s.stale = append(s.stale, name)
			return
		}
		one.running--
		if streamed {
			one.streams++
		}
		if one.streams >= maxStreams || one.streams >= enoughStreams && one.running == 0 {
			one.streams = 0
			s.stale = append(s.stale, name)
		}
	})
}

func (s *sessions) end(name string) {
	s.change(func() {
		if name != "" {
			s.ended.Add(name, true)
		}
		s.live.Remove(name)
	})
}

// forget drops the library's state of a session.
func (s *sessions) forget(name string) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodDelete, "/mcp", nil)
	if err != nil {
		return
	}
	r.Header.Set(sessionHeader, name)
	s.transport.ServeHTTP(nowhere{}, r)
}

// nowhere takes an answer that nobody waits for.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}
