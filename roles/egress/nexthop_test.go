package egress

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/policy"
)

// hop is a proxy as a next hop: it tunnels CONNECT and forwards absolute form,
// and keeps what it was asked.
type hop struct {
	t        testing.TB
	listener net.Listener
	lab      *lab
	epoch    atomic.Uint64

	mu    sync.Mutex
	heads []*http.Request
	open  []net.Conn
}

func newHop(t testing.TB) *hop {
	h := &hop{t: t, listener: must(net.Listen("tcp", "127.0.0.1:0"))(t)}
	t.Cleanup(func() { h.listener.Close() })
	go func() {
		for {
			conn, err := h.listener.Accept()
			if err != nil {
				return
			}
			go h.serve(conn)
		}
	}()
	return h
}

func (h *hop) Dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", h.listener.Addr().String())
}

func (h *hop) Epoch() uint64 { return h.epoch.Load() }

func (h *hop) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		request, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		h.mu.Lock()
		h.heads = append(h.heads, request)
		h.open = append(h.open, conn)
		h.mu.Unlock()
		if request.Host == "other.test:443" {
			fmt.Fprint(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 31\r\n\r\nCONNECT blocked: not in the list")
			return
		}
		if request.Method != http.MethodConnect {
			request.RequestURI = ""
			response, err := (&http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return h.lab.dial(ctx, network, "127.0.0.1:80")
			}}).RoundTrip(request)
			if err != nil {
				return
			}
			response.Write(conn)
			continue
		}
		origin, err := h.lab.dial(context.Background(), "tcp", "127.0.0.1:443")
		if err != nil {
			return
		}
		defer origin.Close()
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n\r\n")
		go io.Copy(origin, r)
		io.Copy(conn, origin)
		return
	}
}

func (h *hop) asked() (heads []*http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	heads, h.heads = h.heads, nil
	return heads
}

func TestNextHop(t *testing.T) {
	h := newHop(t)
	l := newLab(t, route("api.test")+route("api.test", "ports: [80]")+route("other.test")+"  - host: a.wild.test\n  - host: a.wild.test\n    ports: [80]\n",
		func(c *Config) { c.NextHop = h })
	h.lab = l
	l.wantThrough("https", l.ask("POST", "https://api.test/a?b", "body"))
	if heads := h.asked(); len(heads) != 1 || heads[0].Method != "CONNECT" || heads[0].RequestURI != "api.test:443" {
		t.Errorf("the hop was asked %v", heads)
	}
	if got := l.wantThrough("plain", l.ask("POST", "http://api.test/a?b", "body")); got.target != "/a?b" || got.body != "body" {
		t.Errorf("the origin got %v", got)
	}
	if heads := h.asked(); len(heads) != 1 || heads[0].URL.String() != "" && heads[0].Host != "api.test" {
		t.Errorf("the hop was asked %v", heads)
	}
	for _, url := range []string{"https://a.wild.test/", "http://a.wild.test/"} {
		l.wantBlock("address", l.ask("GET", url, ""), policy.Address)
	}
	l.wantBlock("no route", l.ask("GET", "https://elsewhere.test/", ""), policy.NoRoute)
	if heads := h.asked(); len(heads) != 0 {
		t.Errorf("the hop was asked for what was refused: %v", heads)
	}
	a := l.ask("GET", "https://other.test/", "")
	if a.status != http.StatusBadGateway || a.rule != "" || !strings.Contains(a.body, "CONNECT blocked") {
		t.Errorf("the hop's refusal: %d %s", a.status, a.body)
	}
}

// TestNextHopReplaced: what goes on after a replacement goes through the new
// process, and no request is lost.
func TestNextHopReplaced(t *testing.T) {
	h := newHop(t)
	l := newLab(t, route("api.test"), func(c *Config) { c.NextHop = h })
	h.lab = l
	client := l.client(false)
	post := func() {
		t.Helper()
		r, _ := http.NewRequest("POST", "https://api.test/", strings.NewReader("body"))
		if a, err := l.do(client, r); err != nil || a.status != 200 {
			t.Fatalf("%d %s %v", a.status, a.body, err)
		}
	}
	post()
	post()
	if heads := h.asked(); len(heads) != 1 {
		t.Errorf("%d tunnels for two requests", len(heads))
	}
	h.epoch.Add(1)
	post()
	if heads := h.asked(); len(heads) != 1 {
		t.Errorf("%d new tunnels after the replacement", len(heads))
	}
	h.mu.Lock()
	second := h.open[1]
	h.mu.Unlock()
	// Without any request the connection is let go too.
	h.epoch.Add(1)
	gone := make(chan error, 1)
	go func() {
		for {
			if _, err := second.Write(nil); err != nil {
				gone <- err
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	within(t, gone, "the end of the connection to the process before")
}

// TestProxyURL: the next hop from the environment, with its authorization.
func TestProxyURL(t *testing.T) {
	for _, bad := range []string{"", "https://x:1", "http://x", "socks5://x:1", "http://x:1/path", "http://u:secret-word@x"} {
		if _, err := ProxyURL(bad); err == nil || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	h := newHop(t)
	for userinfo, want := range map[string]string{"": "", ":bearer-word@": "Bearer bearer-word", "u:p@": "Basic dTpw"} {
		next := must(ProxyURL("http://" + userinfo + h.listener.Addr().String()))(t)
		l := newLab(t, route("api.test")+route("api.test", "ports: [80]"), func(c *Config) { c.NextHop = next })
		h.lab = l
		for _, url := range []string{"https://api.test/", "http://api.test/"} {
			got := l.wantThrough(url, l.ask("GET", url, "", header("Proxy-Authorization", "Basic own")))
			if strings.HasPrefix(url, "https") && got.header.Get("Proxy-Authorization") != "" {
				t.Errorf("%s: the authorization went on to the origin", url)
			}
			heads := h.asked()
			if len(heads) != 1 || heads[0].Header.Get("Proxy-Authorization") != want {
				t.Errorf("%s: the hop got %v, want %q", url, heads, want)
			}
		}
	}
}

// TestDeadNextHop fails closed.
func TestDeadNextHop(t *testing.T) {
	h := newHop(t)
	l := newLab(t, route("api.test")+route("api.test", "ports: [80]"), func(c *Config) { c.NextHop = h })
	h.lab = l
	l.wantThrough("control", l.ask("GET", "https://api.test/", ""))
	l.role.live.Load().close()
	h.listener.Close()
	for _, url := range []string{"https://api.test/", "http://api.test/"} {
		if a := l.ask("GET", url, ""); a.status != http.StatusBadGateway {
			t.Errorf("%s: %d %s", url, a.status, a.body)
		}
	}
	if got := l.origin.all(); len(got) > 0 {
		t.Errorf("the origin was reached around the hop: %v", got)
	}
}

// TestPipelockAuthority is trusted for inspected hosts behind the hop, and
// nowhere else.
func TestPipelockAuthority(t *testing.T) {
	h := newHop(t)
	untrusted := func(c *Config) { c.PipelockCAPath, c.UpstreamCAPath = c.UpstreamCAPath, "" }
	l := newLab(t, route("api.test")+route("other.test", "pipelock: passthrough")+route("a.wild.test", "pipelock: passthrough"), untrusted, func(c *Config) { c.NextHop = h })
	h.lab = l
	l.wantThrough("inspected", l.ask("GET", "https://api.test/", ""))
	if a := l.ask("GET", "https://a.wild.test/", ""); a.status != http.StatusBadGateway || !strings.Contains(a.body, "certificate") {
		t.Errorf("passed through: %d %s", a.status, a.body)
	}
	direct := newLab(t, route("api.test"), untrusted)
	if a := direct.ask("GET", "https://api.test/", ""); a.status != http.StatusBadGateway || !strings.Contains(a.body, "certificate") {
		t.Errorf("without a hop: %d %s", a.status, a.body)
	}
	if len(l.origin.all())+len(direct.origin.all()) > 0 {
		t.Error("an untrusted origin was asked")
	}
}
