package http1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Server is used as net/http's. Handler must be set; no field may change once
// Serve was called. It does not bound the length of heads and trailers: its
// connections must.
type Server struct {
	// Handler's ResponseWriter has what http.ResponseController asks for, but
	// EnableFullDuplex, which is always on. Requests have contexts that end
	// with their connection, so also when the client leaves.
	Handler http.Handler
	// HeadTimeout bounds the reading of a request's head, and the waiting for
	// it when it is the first; IdleTimeout the waiting for one that follows. 0
	// is no bound.
	HeadTimeout, IdleTimeout time.Duration
	// ConnContext makes the context that the requests of a connection have;
	// nil = the background.
	ConnContext func(context.Context, net.Conn) context.Context
	// Log hears of handlers that panicked; nil drops it.
	Log *slog.Logger

	mu    sync.Mutex
	doors []net.Listener
	conns map[*serverConn]bool // true = a request is served
	over  bool
	left  chan struct{} // closed when over and no connection is left
}

// serverConn is one connection.
type serverConn struct {
	net.Conn
	server  *Server
	ctx     context.Context
	cancel  context.CancelFunc
	r       *bufio.Reader
	w       *bufio.Writer
	watcher watcher
	served  bool         // a request was waited for
	until   atomic.Int64 // the deadline of reads, in Unix seconds; 0 = another
}

// Serve serves the connections of l, each from a goroutine of its own, until
// Shutdown or Close, when it returns http.ErrServerClosed, or an error of l.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if !s.open(l) {
		return http.ErrServerClosed
	}
	for {
		c, err := l.Accept()
		if s.stopping() {
			if err == nil {
				_ = c.Close()
			}
			return http.ErrServerClosed
		}
		if err != nil {
			return err
		}
		go s.serveConn(c)
	}
}

// open notes a listener; false = none may serve any more.
func (s *Server) open(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doors = append(s.doors, l)
	return !s.over
}

// serveConn serves the requests of c one after the other. c is closed then,
// unless a handler hijacked it.
func (s *Server) serveConn(c net.Conn) {
	k := &serverConn{Conn: c, server: s, ctx: context.Background()}
	if s.ConnContext != nil {
		k.ctx = s.ConnContext(k.ctx, c)
	}
	k.ctx, k.cancel = context.WithCancel(k.ctx)
	defer k.cancel()
	k.r, k.w = bufio.NewReaderSize(c, bufferSize), bufio.NewWriterSize(c, bufferSize)
	if !s.enter(k) {
		_ = c.Close()
		return
	}
	defer s.leave(k)
	for {
		switch k.serveNext() {
		case keep:
		case hijacked:
			return
		case linger:
			k.linger()
			_ = c.Close()
			return
		default:
			_ = c.Close()
			return
		}
	}
}

// outcome is what becomes of a connection after a request.
type outcome int

const (
	end outcome = iota // it is closed
	keep
	linger // it is closed when the client had time to read the answer
	hijacked
)

func (k *serverConn) serveNext() outcome {
	if k.served {
		k.waitFor(k.server.IdleTimeout)
	} else {
		k.waitFor(k.server.HeadTimeout)
		k.served = true
	}
	if _, err := k.r.Peek(1); err != nil || !k.server.begin(k) {
		return end
	}
	if head, _ := k.r.Peek(k.r.Buffered()); !bytes.Contains(head, []byte("\r\n\r\n")) {
		k.waitFor(k.server.HeadTimeout)
	}
	request, err := http.ReadRequest(k.r)
	if err != nil {
		return k.answer("400 Bad Request")
	}
	if len(request.Header["Expect"]) > 0 && !httpguts.HeaderValuesContainsToken(request.Header["Expect"], "100-continue") {
		return k.answer("417 Expectation Failed")
	}
	return k.serve(request)
}

// answer answers without asking the handler, and ends the connection.
func (k *serverConn) answer(status string) outcome {
	_, _ = io.WriteString(k.Conn, "HTTP/1.1 "+status+"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	return linger
}

// serve has the handler answer one request.
func (k *serverConn) serve(request *http.Request) (next outcome) {
	w := newResponse(k, request)
	k.watcher.begin()
	if request.Body == http.NoBody {
		k.watcher.arm(k)
	} else {
		k.readUntil(time.Time{})
		w.body = &requestBody{conn: k, body: request.Body, left: request.ContentLength, w: w}
		w.body.expect = request.ProtoAtLeast(1, 1) && httpguts.HeaderValuesContainsToken(request.Header["Expect"], "100-continue")
		request.Body = w.body
	}
	defer func() {
		reason := recover()
		k.watcher.end(k)
		w.body.end()
		if w.hijacked {
			next = hijacked
		} else if reason != nil {
			next = end
		}
		if reason != nil && reason != http.ErrAbortHandler && k.server.Log != nil {
			k.server.Log.Error("a handler panicked", "panic", reason)
		}
	}()
	// In place: the body tells its trailers to the request that was read.
	*request = *request.WithContext(k.ctx)
	k.server.Handler.ServeHTTP(w, request)
	if w.hijacked {
		return hijacked
	}
	return w.finish()
}

// waitFor bounds the next reads, to the second; 0 lets them wait.
func (k *serverConn) waitFor(d time.Duration) {
	if d == 0 {
		k.readUntil(time.Time{})
		return
	}
	until := time.Now().Add(d)
	if k.until.Load() != until.Unix() {
		k.readUntil(until)
		k.until.Store(until.Unix())
	}
}

// readUntil bounds the next reads and the one under way.
func (k *serverConn) readUntil(t time.Time) {
	k.until.Store(0)
	_ = k.SetReadDeadline(t)
}

// linger lets the client read the answer: closing a connection that holds
// unread bytes would take it away.
func (k *serverConn) linger() {
	_ = k.SetDeadline(time.Now().Add(lingerTime))
	if c, ok := k.Conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(k.Conn, 1<<20))
}

func (s *Server) enter(k *serverConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	if s.conns == nil {
		s.conns = make(map[*serverConn]bool)
	}
	s.conns[k] = false
	return true
}

// begin notes that k serves a request; false = it must not any more.
func (s *Server) begin(k *serverConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[k] = true
	return !s.over
}

// finished notes that k waits for a request; false = none may come any more.
func (s *Server) finished(k *serverConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[k] = false
	return !s.over
}

func (s *Server) leave(k *serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, k)
	if s.over && len(s.conns) == 0 && s.left != nil {
		close(s.left)
		s.left = nil
	}
}

// stopping reports whether requests after this one are not served.
func (s *Server) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// stop lets no connection come any more. It needs the lock.
func (s *Server) stop() {
	s.over = true
	for _, l := range s.doors {
		_ = l.Close()
	}
	s.doors = nil
}

// Shutdown closes the listeners and the connections that wait for a request,
// lets the others finish theirs, and returns when all are gone, or ctx's error
// when that ends before.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stop()
	for k, busy := range s.conns {
		if !busy {
			go k.Close() // TLS may wait for the client to take its last words
		}
	}
	if len(s.conns) == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.left == nil {
		s.left = make(chan struct{})
	}
	left := s.left
	s.mu.Unlock()
	select {
	case <-left:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close closes the listeners and all connections but hijacked ones.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
	for k := range s.conns {
		go k.Close()
	}
	return nil
}
