package egress

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/claude-bottle/claude-bottle/policy"
)

// TestStalledBody: a body that does not go on ends its request, but not a
// conversation in which the origin speaks.
func TestStalledBody(t *testing.T) {
	l := newLab(t, route("api.test"))
	l.role.bodyIdle = 500 * time.Millisecond
	for name, head := range map[string]string{
		"short":   "Content-Length: 1000\r\n\r\nabc",
		"long":    "Content-Length: 300000\r\n\r\n" + strings.Repeat("x", 200_000),
		"chunked": "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	} {
		a := sayTo(t, l.tunnel("api.test"), "POST / HTTP/1.1\r\nHost: api.test\r\n"+head)
		if a.status != http.StatusForbidden || a.rule != string(policy.Malformed) || !strings.Contains(a.body, reasonStalled) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	graphql := "POST /graphql HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1000\r\n\r\nabc"
	if a := sayTo(t, l.tunnel("api.test"), graphql); !strings.Contains(a.body, reasonStalled) {
		t.Errorf("GraphQL: %d %s", a.status, a.body)
	}
	l.wantVerdicts(4, `"decision":"block"`, reasonStalled)
	for _, got := range l.origin.all() {
		if !strings.HasPrefix(got.body, "broken") {
			t.Errorf("the request arrived whole: %v", got)
		}
	}
	l.origin.handler = func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.(http.Flusher).Flush()
		line, err := bufio.NewReader(r.Body).ReadString('\n')
		fmt.Fprint(w, line, err)
	}
	client := l.client(true) // whose connections are there before the body's time runs
	l.do(client, must(http.NewRequest("GET", "https://api.test/", nil))(t))
	pr, pw := io.Pipe()
	response, err := client.Post("https://api.test/", "text/plain", pr)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(4 * l.role.bodyIdle)
	io.WriteString(pw, "late\n")
	pw.Close()
	if b, err := io.ReadAll(response.Body); string(b) != "late\n<nil>" || err != nil {
		t.Errorf("control: %q %v", b, err)
	}
}

// TestManyRequests: what is open at a time has a bound, and so has its memory.
func TestManyRequests(t *testing.T) {
	const conns, most = 7, 300 << 20
	l := newLab(t, route("api.test"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var open sync.WaitGroup
	var clients []*http.Client
	for range conns {
		client := l.client(true)
		if a, err := l.do(client, must(http.NewRequest("GET", "https://api.test/", nil))(t)); err != nil || a.status != http.StatusOK {
			t.Fatal(a, err)
		}
		clients = append(clients, client)
	}
	for _, client := range clients {
		for range maxStreams {
			body, end := io.Pipe()
			r, _ := http.NewRequestWithContext(ctx, "POST", "https://api.test/", io.MultiReader(io.LimitReader(zeros{}, 8<<10), body))
			r.ContentLength = maxBuffered
			open.Go(func() {
				defer end.Close()
				if a, err := l.do(client, r); err == nil && a.status != http.StatusServiceUnavailable {
					t.Errorf("got %d", a.status)
				}
			})
		}
	}
	l.wantVerdicts(conns*maxStreams-maxRequests, `"decision":"block"`, "too many requests")
	runtime.ReadMemStats(&after)
	if after.HeapInuse > before.HeapInuse+most {
		t.Errorf("%d MB of heap", (after.HeapInuse-before.HeapInuse)>>20)
	}
	if a := l.ask("GET", "https://api.test/", ""); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "too many requests") {
		t.Errorf("one more: %d %s", a.status, a.body)
	}
	cancel()
	open.Wait()
	for end := time.Now().Add(patience); len(l.role.requests) > 0 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	l.origin.all()
	l.wantThrough("control", l.ask("GET", "https://api.test/", ""))
}

// TestSettings: HTTP/2 is offered with the bounds.
func TestSettings(t *testing.T) {
	l := newLab(t, route("api.test"))
	conn := l.tunnel("api.test", "h2")
	fmt.Fprint(conn, http2.ClientPreface)
	f := http2.NewFramer(conn, conn)
	f.WriteSettings()
	frame, err := f.ReadFrame()
	settings, ok := frame.(*http2.SettingsFrame)
	if err != nil || !ok {
		t.Fatal(frame, err)
	}
	for id, want := range map[http2.SettingID]uint32{http2.SettingMaxConcurrentStreams: maxStreams, http2.SettingInitialWindowSize: streamBuffer} {
		if got, _ := settings.Value(id); got != want {
			t.Errorf("%v is %d, want %d", id, got, want)
		}
	}
}

// TestAskingForTheServer is decided on like any request.
func TestAskingForTheServer(t *testing.T) {
	l := newLab(t, route("api.test"))
	raw := "OPTIONS * HTTP/1.1\r\nHost: api.test\r\n\r\n"
	l.wantBlock("tunnel", sayTo(t, l.tunnel("api.test"), raw), policy.Malformed)
	l.wantBlock("proxy", sayTo(t, dialProxy(l), raw), policy.Malformed)
	l.wantVerdicts(2, `"decision":"block"`, `"method":"OPTIONS"`)
	l.wantThrough("control", l.ask("OPTIONS", "https://api.test/", ""))
}
