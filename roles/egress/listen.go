package egress

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// proxyListener hands the agent's connections to the outer server.
type proxyListener struct {
	net.Listener
	role *Role
	door bool
}

func (l *proxyListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &proxyConn{wireConn: newWireConn(conn, l.role.marker), door: l.door}, nil
}

// proxyConn is a connection of the agent to the proxy itself.
type proxyConn struct {
	*wireConn
	door bool
}

// innerListener hands tunnels whose TLS has ended here to an inner server.
type innerListener struct {
	conns  <-chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newInnerListener(conns <-chan net.Conn) *innerListener {
	return &innerListener{conns: conns, closed: make(chan struct{})}
}

func (l *innerListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *innerListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *innerListener) Addr() net.Addr { return &net.UnixAddr{Name: "tunnels", Net: "unix"} }

// connKey is the context key of what a request came through.
type connKey struct{}

// connContext gives requests the connection they came through: a *proxyConn or
// a *tunnel.
func connContext(ctx context.Context, c net.Conn) context.Context {
	switch c := c.(type) {
	case *proxyConn:
		return context.WithValue(ctx, connKey{}, c)
	case *tunnelConn:
		return context.WithValue(ctx, connKey{}, c.tunnel)
	case *tls.Conn:
		return context.WithValue(ctx, connKey{}, c.NetConn().(*hijacked).tunnel)
	default:
		return ctx
	}
}

func proxyConnOf(r *http.Request) *proxyConn { return r.Context().Value(connKey{}).(*proxyConn) }

func tunnelOf(r *http.Request) *tunnel { return r.Context().Value(connKey{}).(*tunnel) }
