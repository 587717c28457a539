package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Transport sends requests over TLS, each from the goroutine that asks. It is
// an http.RoundTripper for requests with URLs of https and an authority with
// port, whose bodies are short enough for a connection's buffers (MostBody)
// and come without delay. It follows no redirect, no proxy and no environment.
type Transport struct {
	// Dial opens connections; it must be set. Its errors are passed on.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is cloned for each connection, with the server's name.
	TLS *tls.Config
	// HandshakeTimeout bounds a TLS handshake; 0 is no bound.
	HandshakeTimeout time.Duration
	// MaxHead bounds a response's head, in bytes; 0 is no bound.
	MaxHead int64
	// MaxIdle and MaxIdlePerHost bound the connections that are kept; 0 keeps
	// none.
	MaxIdle, MaxIdlePerHost int

	mu     sync.Mutex
	idle   map[string][]*clientConn // of an authority, the last used last
	count  int
	closed bool
}

// MostBody is the longest body of a request in bytes: what any origin's
// connection holds of it while nobody reads.
const MostBody = 32 << 10

// RoundTrip is http.RoundTripper's. A request that a kept connection lost before
// anything of the answer came is sent once more when it may be, RFC 9110,
// section 9.2.2.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	for {
		c, err := t.connection(request)
		if err != nil {
			return nil, err
		}
		response, err := c.roundTrip(request)
		if err == nil {
			return response, nil
		}
		if ended := request.Context().Err(); ended != nil {
			return nil, ended
		}
		if !c.used || !errors.Is(err, errLost) || !repeatable(request) {
			return nil, err
		}
		if request, err = again(request); err != nil {
			return nil, err
		}
	}
}

// repeatable reports whether a request that was lost may be sent once more.
func repeatable(request *http.Request) bool {
	if request.Body != nil && request.Body != http.NoBody && request.GetBody == nil {
		return false
	}
	switch request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return request.Header["Idempotency-Key"] != nil || request.Header["X-Idempotency-Key"] != nil
}

// again is the request with its body from the beginning.
func again(request *http.Request) (*http.Request, error) {
	if request.GetBody == nil {
		return request, nil
	}
	body, err := request.GetBody()
	if err != nil {
		return nil, err
	}
	repeated := *request
	repeated.Body = body
	return &repeated, nil
}

// connection is one that was kept and is alive, else a new one.
func (t *Transport) connection(request *http.Request) (*clientConn, error) {
	if err := request.Context().Err(); err != nil {
		return nil, err
	}
	authority := request.URL.Host
	for {
		c := t.take(authority)
		if c == nil {
			return t.connect(request.Context(), authority)
		}
		if c.quiet() {
			return c, nil
		}
		c.leave()
	}
}

func (t *Transport) take(authority string) *clientConn {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.idle[authority]
	if len(kept) == 0 {
		return nil
	}
	last := len(kept) - 1
	c := kept[last]
	kept[last] = nil
	t.idle[authority] = kept[:last]
	t.count--
	return c
}

func (t *Transport) connect(ctx context.Context, authority string) (*clientConn, error) {
	host, _, err := net.SplitHostPort(authority)
	if err != nil {
		return nil, err
	}
	wire, err := t.Dial(ctx, "tcp", authority)
	if err != nil {
		return nil, err
	}
	config := t.TLS.Clone()
	config.ServerName = host
	if t.HandshakeTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.HandshakeTimeout)
		defer cancel()
	}
	secured := tls.Client(wire, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = wire.Close()
		return nil, err
	}
	return newClientConn(t, authority, secured, wire), nil
}

// keep takes a connection back for the next request; false = there is no room.
func (t *Transport) keep(c *clientConn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.count >= t.MaxIdle || len(t.idle[c.authority]) >= t.MaxIdlePerHost {
		return false
	}
	if t.idle == nil {
		t.idle = make(map[string][]*clientConn)
	}
	c.used, c.since = true, time.Now()
	t.idle[c.authority] = append(t.idle[c.authority], c)
	t.count++
	return true
}

// CloseIdleConnections closes the connections that no request uses.
func (t *Transport) CloseIdleConnections() { t.CloseIdleSince(time.Now()) }

// CloseIdleSince closes the connections that no request used after then.
func (t *Transport) CloseIdleSince(then time.Time) {
	for _, c := range t.takeIdle(then) {
		go c.leave() // TLS may wait for the origin to take its last words
	}
}

func (t *Transport) takeIdle(then time.Time) (taken []*clientConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for authority, kept := range t.idle {
		kept = slices.DeleteFunc(kept, func(c *clientConn) bool {
			if c.since.After(then) {
				return false
			}
			taken = append(taken, c)
			return true
		})
		if t.idle[authority] = kept; len(kept) == 0 {
			delete(t.idle, authority)
		}
	}
	t.count -= len(taken)
	return taken
}

// Retire closes the connections that no request uses, and those in use when
// their request ends. Requests that still come open connections of their own.
func (t *Transport) Retire() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.CloseIdleConnections()
}
