package egress

import (
	"bufio"
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/elazarl/goproxy"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/policy"
)

// serveProxy is the agent-facing proxy: CONNECT, absolute form, and what the
// bundle itself answers.
func (r *Role) serveProxy(w http.ResponseWriter, req *http.Request) {
	conn := proxyConnOf(req)
	switch {
	case req.RequestURI == r.marker && conn.broken.Load() != nil:
		r.refuseBroken(w, conn.broken.Load(), "")
	case req.Method == http.MethodConnect:
		r.serveConnect(w, req)
	case req.RequestURI != "" && req.RequestURI[0] == '/':
		r.serveDoor(w, req, conn.door)
	default:
		r.serveAbsolute(w, req)
	}
}

// serveDoor answers requests in origin form, which ask the proxy for itself.
func (r *Role) serveDoor(w http.ResponseWriter, req *http.Request, door bool) {
	if door && req.Method == http.MethodGet && req.RequestURI == "/health" {
		if r.ChildHealth == nil {
			http.NotFound(w, req)
			return
		}
		r.ChildHealth.ServeHTTP(w, req)
		return
	}
	r.refuse(w, blocked(policy.Malformed, policy.Decision{Method: req.Method, Path: rawPath(req.RequestURI)},
		"this is a proxy, and the request names no server",
		"set http_proxy and https_proxy to this address and ask for a full URL"))
}

// serveConnect decides on a CONNECT and, when it may, opens the tunnel.
func (r *Role) serveConnect(w http.ResponseWriter, req *http.Request) {
	now := r.live.Load()
	// Whatever is answered, no second request is read after a CONNECT.
	w.Header().Set("Connection", "close")
	about := policy.Decision{Method: http.MethodConnect, Host: bareHost(req.RequestURI)}
	authority, err := canon.ParseAuthority(req.RequestURI, 0)
	if err != nil {
		r.refuse(w, unreadableHost(about, req.RequestURI))
		return
	}
	about.Host, about.Port = authority.Host.String(), authority.Port
	if d := now.table.Authority(authority, false, time.Now(), r.spent); !d.Allow {
		r.refuse(w, completed(d, about))
		return
	}
	if named := proxyConnOf(req).connectHost; named != nil {
		if a, err := canon.ParseAuthority(*named, authority.Port); err != nil || a != authority {
			r.refuse(w, blocked(policy.AuthorityMismatch, about, "CONNECT's Host is another than its target, which was "+authority.String(), remedyAuthority))
			return
		}
	}
	if d := now.scanHost(authority.Host, bareHost(req.RequestURI), about); d != nil {
		r.refuse(w, *d)
		return
	}
	if err := r.record("connect", allowed, detailOf(about)); err != nil {
		r.unrecorded(w, about.Host)
		return
	}
	t := &tunnel{role: r, authority: authority, host: authority.Host.String()}
	r.proxy.ServeHTTP(&connectWriter{w, t}, req)
}

// newConnectFront is goproxy, told to hand every tunnel over: TLS ends in
// net/http's own server, and goproxy neither dials nor forwards.
func newConnectFront(r *Role) http.Handler {
	front := goproxy.NewProxyHttpServer()
	front.Logger = log.New(logWriter{r.Log}, "", 0)
	front.ConnectDial = func(string, string) (net.Conn, error) {
		return nil, errors.New("the front does not dial")
	}
	front.Tr = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return front.ConnectDial("", "")
	}}
	front.OnRequest().HijackConnect(func(_ *http.Request, client net.Conn, _ *goproxy.ProxyCtx) {
		h := client.(*hijacked)
		h.tunnel.serve(h)
	})
	return front
}

// connectWriter gives goproxy the connection together with what the agent sent
// before it had an answer.
type connectWriter struct {
	http.ResponseWriter
	tunnel *tunnel
}

func (w *connectWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	if err != nil {
		return nil, nil, err
	}
	wire := conn.(*proxyConn).wireConn
	wire.raw()
	h := &hijacked{Conn: wire.Conn, tunnel: w.tunnel}
	h.early = append(append(h.early, early...), wire.buf...)
	return h, buffered, nil
}

// hijacked is the agent's connection below a tunnel.
type hijacked struct {
	net.Conn
	early  []byte
	tunnel *tunnel
}

func (h *hijacked) Read(p []byte) (int, error) {
	if len(h.early) > 0 {
		n := copy(p, h.early)
		h.early = h.early[n:]
		return n, nil
	}
	return h.Conn.Read(p)
}

func (h *hijacked) Close() error {
	h.tunnel.role.active.remove(h.tunnel)
	return h.Conn.Close()
}
