package egress

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/policy"
)

// patience bounds waits that end at once when all is well.
const patience = time.Minute

func within[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// TestStreamsFlow: each event is there before the origin sends the next.
func TestStreamsFlow(t *testing.T) {
	l := newLab(t, route("api.test")+route("other.test", withToken))
	next := make(chan string)
	for _, kind := range []string{"text/event-stream", "application/x-ndjson", "with length"} {
		l.origin.handler = func(w http.ResponseWriter, r *http.Request) {
			if kind == "with length" {
				w.Header().Set("Content-Length", "1000")
			} else {
				w.Header().Set("Content-Type", kind)
			}
			w.(http.Flusher).Flush()
			for event := range next {
				if event == "" {
					return
				}
				fmt.Fprint(w, event)
				w.(http.Flusher).Flush()
			}
		}
		for _, h2 := range []bool{false, true} {
			for _, host := range []string{"api.test", "other.test"} {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				r, _ := http.NewRequestWithContext(ctx, "GET", "https://"+host+"/", nil)
				response, err := l.client(h2).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				lines := bufio.NewReader(response.Body)
				for _, event := range []string{"data: one\n", "data: two\n", "data: three\n"} {
					next <- event
					if line, err := lines.ReadString('\n'); line != event {
						t.Errorf("%s of %s: %q %v", kind, host, line, err)
					}
				}
				next <- ""
				response.Body.Close()
				cancel()
			}
		}
	}
}

// TestConversation: HTTP/2 streams both ways at once, with trailers, as gRPC
// does.
func TestConversation(t *testing.T) {
	l := newLab(t, route("api.test"))
	l.origin.handler = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Grpc-Status")
		w.WriteHeader(200)
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.(http.Flusher).Flush()
		b := bufio.NewReader(r.Body)
		for {
			line, err := b.ReadString('\n')
			if err != nil {
				break
			}
			fmt.Fprint(w, "echo "+line)
			w.(http.Flusher).Flush()
		}
		w.Header().Set("Grpc-Status", "0"+r.Trailer.Get("X-End"))
		w.Header().Set(http.TrailerPrefix+"Grpc-Message", "late")
	}
	pr, pw := io.Pipe()
	r, _ := http.NewRequest("POST", "https://api.test/svc/Method", pr)
	r.Header.Set("Te", "trailers")
	r.Trailer = http.Header{"X-End": nil}
	response, err := l.client(true).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if response.ProtoMajor != 2 || response.Header.Get("Te") != "" {
		t.Fatalf("%s %v", response.Proto, response.Header)
	}
	b := bufio.NewReader(response.Body)
	for _, line := range []string{"one\n", "two\n", "three\n"} {
		io.WriteString(pw, line)
		if got, err := b.ReadString('\n'); got != "echo "+line {
			t.Fatalf("%q %v", got, err)
		}
	}
	r.Trailer.Set("X-End", "7")
	pw.Close()
	if rest, err := io.ReadAll(b); len(rest) > 0 || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	if response.Trailer.Get("Grpc-Status") != "07" || response.Trailer.Get("Grpc-Message") != "late" {
		t.Errorf("trailers %v", response.Trailer)
	}
	if got := l.origin.all(); len(got) != 1 || got[0].proto != "HTTP/2.0" || got[0].header.Get("Te") != "trailers" {
		t.Errorf("the origin was asked %v", got)
	}
}

// TestTrailers go both ways over HTTP/1.1 too; those that authenticate or frame
// do not.
func TestTrailers(t *testing.T) {
	l := newLab(t, route("api.test"))
	raw := "POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Api-Key, X-Original-Url, X_http_method_override, Content_Type\r\n\r\n" +
		"3\r\nabc\r\n0\r\nX-Sum: 42\r\nX-Api-Key: own\r\nX-Original-Url: /\r\nX_http_method_override: DELETE\r\nContent_Type: x\r\nX-Undeclared: u\r\n\r\n"
	got := l.wantThrough("request", sayTo(t, l.tunnel("api.test"), raw))
	if got.trailer.Get("X-Sum") != "42" || len(got.trailer) != 1 {
		t.Errorf("the origin got the trailers %v", got.trailer)
	}
	for _, name := range []string{"Hunter2-hunter2-Hunter2", "X-68756e746572322d68756e746572322d68756e74657232"} {
		raw := "POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\nTrailer: " + name + "\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
		l.wantBlock("announced "+name, sayTo(t, l.tunnel("api.test"), raw), policy.Secret)
	}
	raw = "POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Undeclared: hunter2-hunter2-hunter2\r\n\r\n"
	l.wantBlock("undeclared", sayTo(t, l.tunnel("api.test"), raw), policy.Secret)
	l.origin.handler = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		fmt.Fprint(w, "body")
		w.Header().Set("X-Sum", "43")
	}
	for _, h2 := range []bool{false, true} {
		a, err := l.do(l.client(h2), must(http.NewRequest("GET", "https://api.test/", nil))(t))
		if err != nil || a.trailer.Get("X-Sum") != "43" || a.body != "body" {
			t.Errorf("%v %q %v", a.trailer, a.body, err)
		}
	}
}

// TestExpectIsTheOriginsToAnswer: the body is not read before the origin asked
// for it.
func TestExpectIsTheOriginsToAnswer(t *testing.T) {
	l := newLab(t, route("api.test"))
	asked := make(chan bool, 1)
	l.origin.handler = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			http.Error(w, "no", http.StatusRequestEntityTooLarge)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}
	for path, want := range map[string]bool{"/no": false, "/yes": true} {
		conn := l.tunnel("api.test")
		fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: api.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n", path)
		r := bufio.NewReader(conn)
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		asked <- response.StatusCode == http.StatusContinue
		if got := within(t, asked, "an answer"); got != want {
			t.Errorf("%s: asked for the body: %v, want %v", path, got, want)
		}
		if want {
			io.WriteString(conn, "body")
			if a := readAnswer(t, r, path); a.body != "4" {
				t.Errorf("got %q", a.body)
			}
		}
	}
}

// TestLeavingCancels: the origin learns when the agent goes.
func TestLeavingCancels(t *testing.T) {
	l := newLab(t, route("api.test"))
	began, gone := make(chan bool, 8), make(chan bool, 8)
	l.origin.handler = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			w.(http.Flusher).Flush()
		}
		began <- true
		<-r.Context().Done()
		gone <- true
	}
	for _, path := range []string{"/silent", "/stream"} {
		for _, h2 := range []bool{false, true} {
			ctx, cancel := context.WithCancel(context.Background())
			r, _ := http.NewRequestWithContext(ctx, "GET", "https://api.test"+path, nil)
			go func() {
				response, err := l.client(h2).Do(r)
				if err == nil {
					io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			}()
			within(t, began, "the request")
			cancel()
			within(t, gone, "the end of the origin's request")
		}
	}
}

// TestAbortedAnswer: what the origin breaks off does not end cleanly.
func TestAbortedAnswer(t *testing.T) {
	l := newLab(t, route("api.test"))
	l.origin.handler = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/whole" {
			fmt.Fprint(w, "half")
			return
		}
		fmt.Fprint(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	for _, h2 := range []bool{false, true} {
		client := l.client(h2)
		if a, err := l.do(client, must(http.NewRequest("GET", "https://api.test/", nil))(t)); err == nil {
			t.Errorf("a broken answer ended cleanly: %q", a.body)
		}
		if a, err := l.do(client, must(http.NewRequest("GET", "https://api.test/whole", nil))(t)); err != nil || a.body != "half" {
			t.Errorf("control: %q %v", a.body, err)
		}
	}
}

// TestBigBodies pass in memory that does not grow with them.
func TestBigBodies(t *testing.T) {
	const size, back = 300 << 20, 50 << 20
	l := newLab(t, route("api.test", "ports: [80]"), func(c *Config) { c.Scanner = nil })
	l.origin.handler = func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			io.CopyN(w, zeros{}, back)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}
	var most uint64
	stop, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
			}
		}
	}()
	client := l.client(false)
	response, err := client.Post("http://api.test/", "application/octet-stream", io.LimitReader(zeros{}, size))
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := io.ReadAll(response.Body); string(n) != fmt.Sprint(size) {
		t.Errorf("the origin got %s bytes", n)
	}
	if response, err = client.Get("http://api.test/"); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, response.Body); n != back || err != nil {
		t.Errorf("the agent got %d bytes: %v", n, err)
	}
	close(stop)
	<-done
	if most > 64<<20 {
		t.Errorf("%d MB of heap for a body of %d MB", most>>20, size>>20)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestScannedBodyIsBounded: the scanner holds back little.
func TestScannedBodyIsBounded(t *testing.T) {
	l := newLab(t, route("api.test"))
	body := strings.Repeat("some text of the agent's, line by line\n", 6<<20/39)
	a := l.ask("POST", "https://api.test/", body)
	if got := l.wantThrough("6 MB", a); !strings.HasPrefix(body, got.body) || len(got.body) != maxCollected {
		t.Errorf("%d bytes arrived", len(got.body))
	}
	secret := bytes.NewBufferString(body[:3<<20] + known)
	r, _ := http.NewRequest("POST", "https://api.test/", secret)
	if a, err := l.do(l.client(false), r); err == nil && a.rule != string(policy.Secret) {
		t.Errorf("a secret after 3 MB: %d %s", a.status, a.body)
	}
	for _, got := range l.origin.all() {
		if !strings.HasPrefix(got.body, "broken") {
			t.Error("the request arrived whole")
		}
	}
}

// TestUpstreamTrouble is told as such, with the connection still good.
func TestUpstreamTrouble(t *testing.T) {
	l := newLab(t, route("api.test")+route("other.test"))
	l.names["other.test"] = []string{"127.0.0.2"} // nobody listens at port 443 there
	conn := l.tunnel("api.test")
	l.origin.handler = func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
	}
	r := bufio.NewReader(conn)
	for path, want := range map[string]int{"/abort": 502, "/fine": 200} {
		fmt.Fprintf(conn, "GET %s?q=not-for-the-log HTTP/1.1\r\nHost: api.test\r\n\r\n", path)
		if a := readAnswer(t, r, path); a.status != want || want == 502 && !strings.Contains(a.body, `"error":"upstream"`) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := l.ask("GET", "https://other.test/", ""); a.status != 502 || a.rule != "" || !strings.Contains(a.body, `"error":"upstream"`) {
		t.Errorf("nobody listens: %d %s", a.status, a.body)
	}
	if len(l.verdicts("not-for-the-log")) > 0 {
		t.Error("a query is in the audit log")
	}
}
