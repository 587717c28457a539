package pipelock

import (
	"bufio"
	"context"
	"crypto/subtle"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/claude-bottle/claude-bottle/canon"
)

// door is the way to the child for an egress in another container.
type door struct {
	role  *Role
	ctx   context.Context // ends with Run, and the tunnels with it
	plain *httputil.ReverseProxy
}

// serveDoor answers on l until ctx ends.
func (r *Role) serveDoor(ctx context.Context, l net.Listener) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return r.Dial(ctx) }
	d := &door{role: r, ctx: ctx, plain: &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { p.Out.Host = p.In.Host },
		// A connection for each request: none stays with a replaced child.
		Transport: &http.Transport{
			Proxy:              http.ProxyURL(&url.URL{Scheme: "http", Host: "pipelock"}),
			DialContext:        dial,
			DisableKeepAlives:  true,
			DisableCompression: true,
		},
		FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "pipelock cannot be reached", http.StatusBadGateway)
		},
	}}
	server := &http.Server{Handler: d, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(l); ctx.Err() == nil {
		r.c.Log.Error("the door to the child is closed", "error", err.Error())
	}
}

// ServeHTTP lets proxy requests through, and nothing that pipelock serves
// itself.
func (d *door) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	proxied := request.Method == http.MethodConnect || request.URL.IsAbs()
	switch {
	case !proxied && request.URL.Path == "/health":
		d.role.HealthHandler().ServeHTTP(w, request)
	case !proxied:
		http.Error(w, "this is a proxy; it serves no pages", http.StatusNotFound)
	case !d.known(request.Header):
		w.Header().Set("Proxy-Authenticate", "Bearer")
		http.Error(w, "the proxy asks for its bearer token", http.StatusProxyAuthRequired)
	case request.Method == http.MethodConnect:
		d.connect(w, request)
	default:
		d.forward(w, request)
	}
}

// known reports whether the request has the bearer token.
func (d *door) known(h http.Header) bool {
	values := h.Values("Proxy-Authorization")
	h.Del("Proxy-Authorization")
	if d.role.c.BearerToken == "" {
		return true
	}
	if len(values) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	return strings.EqualFold(scheme, "Bearer") &&
		subtle.ConstantTimeCompare([]byte(token), []byte(d.role.c.BearerToken)) == 1
}

func (d *door) forward(w http.ResponseWriter, request *http.Request) {
	target, err := canon.ParseAuthority(request.URL.Host, 80)
	if err != nil || request.URL.Scheme != "http" || request.URL.User != nil {
		http.Error(w, "only plain http:// URLs can be asked for without CONNECT", http.StatusBadRequest)
		return
	}
	request.URL.Host, request.Host = target.String(), target.String()
	d.plain.ServeHTTP(w, request)
}

func (d *door) connect(w http.ResponseWriter, request *http.Request) {
	target, err := canon.ParseAuthority(request.Host, 0)
	if err != nil {
		http.Error(w, "CONNECT needs host:port", http.StatusBadRequest)
		return
	}
	child, err := d.role.Dial(request.Context())
	if err != nil {
		http.Error(w, "pipelock cannot be reached", http.StatusBadGateway)
		return
	}
	defer child.Close()
	defer context.AfterFunc(d.ctx, func() { child.Close() })()
	answer := bufio.NewReader(child)
	response, err := ask(child, answer, target)
	if err != nil {
		http.Error(w, "pipelock cannot be reached", http.StatusBadGateway)
		return
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body) // the client may have gone
		return
	}
	client, early, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	defer context.AfterFunc(d.ctx, func() { client.Close() })()
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection Established\r\n\r\n"); err != nil {
		return
	}
	join(client, early.Reader, child, answer)
}

// ask sends the CONNECT and reads the answer to it.
func ask(child net.Conn, answer *bufio.Reader, target canon.Authority) (*http.Response, error) {
	if _, err := io.WriteString(child, "CONNECT "+target.String()+" HTTP/1.1\r\nHost: "+target.String()+"\r\n\r\n"); err != nil {
		return nil, err
	}
	return http.ReadResponse(answer, &http.Request{Method: http.MethodConnect})
}

// join copies both ways. The end of one way is passed on; an error ends both.
func join(a net.Conn, fromA io.Reader, b net.Conn, fromB io.Reader) {
	var both sync.WaitGroup
	way := func(to net.Conn, from io.Reader) {
		_, err := io.Copy(to, from)
		half, ok := to.(interface{ CloseWrite() error })
		if err != nil || !ok || half.CloseWrite() != nil {
			a.Close()
			b.Close()
		}
	}
	both.Go(func() { way(b, fromA) })
	both.Go(func() { way(a, fromB) })
	both.Wait()
}
