package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/internal/pkitest"
)

// deafConn is a connection whose other end takes nothing any more, from when
// deaf is set: its buffers are full.
type deafConn struct {
	net.Conn
	deaf  *atomic.Bool
	mu    sync.Mutex
	until time.Time
	close sync.Once
	gone  chan struct{}
}

func newDeafConn(c net.Conn, deaf *atomic.Bool) *deafConn {
	return &deafConn{Conn: c, deaf: deaf, gone: make(chan struct{})}
}

func (c *deafConn) Write(p []byte) (int, error) {
	if !c.deaf.Load() {
		return c.Conn.Write(p)
	}
	c.mu.Lock()
	left := time.Until(c.until)
	c.mu.Unlock()
	select {
	case <-c.gone:
		return 0, net.ErrClosed
	case <-time.After(left):
		return 0, os.ErrDeadlineExceeded
	}
}

func (c *deafConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = t
	return c.Conn.SetWriteDeadline(t)
}

func (c *deafConn) Close() error {
	c.close.Do(func() { close(c.gone) })
	return c.Conn.Close()
}

// TestDeafOriginDelaysNobody: what closes many idle connections does not wait
// for their origins to take TLS's last words.
func TestDeafOriginDelaysNobody(t *testing.T) {
	o := newOrigin(t, func(_ int32, c net.Conn, r *bufio.Reader) {
		for _, ok := heard(r); ok; _, ok = heard(r) {
			_, _ = io.WriteString(c, okay)
		}
	})
	var deaf atomic.Bool
	dial := o.transport.Dial
	o.transport.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		return newDeafConn(c, &deaf), err
	}
	if got, err := o.ask("GET", ""); got != "200 OK ok" || err != nil {
		t.Fatalf("%q %v", got, err)
	}
	deaf.Store(true)
	begin := time.Now()
	o.transport.CloseIdleConnections()
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
}

type deafListener struct {
	net.Listener
	config *tls.Config
	deaf   *atomic.Bool
}

func (l deafListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(newDeafConn(c, l.deaf), l.config), nil
}

// TestDeafClientsDelayNoShutdown: it keeps to its context.
func TestDeafClientsDelayNoShutdown(t *testing.T) {
	ca := must(pkitest.New("server"))
	certificate := must(ca.TLS("localhost"))
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	var deaf atomic.Bool
	s := &Server{Handler: http.HandlerFunc(answers), Log: slog.New(slog.DiscardHandler)}
	go func() { _ = s.Serve(deafListener{l, &tls.Config{Certificates: []tls.Certificate{certificate}}, &deaf}) }()
	c := must(tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}))
	defer c.Close()
	_, _ = io.WriteString(c, "GET /length HTTP/1.1\r\nHost: a\r\n\r\n")
	if got := told(t, bufio.NewReader(c), "GET"); !strings.Contains(got, "200 OK 5") {
		t.Fatal(got)
	}
	for s.busy() > 0 {
		time.Sleep(time.Millisecond)
	}
	deaf.Store(true)
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	_ = s.Close()
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
}

// busy is how many requests are served.
func (s *Server) busy() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, busy := range s.conns {
		if busy {
			n++
		}
	}
	return n
}
