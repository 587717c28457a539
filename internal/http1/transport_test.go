package http1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/internal/pkitest"
)

// origin is a TLS server whose connections script serves, each with its number.
type origin struct {
	url       string
	transport *Transport
	dialled   atomic.Int32
}

func newOrigin(t *testing.T, script func(n int32, c net.Conn, r *bufio.Reader)) *origin {
	t.Helper()
	ca := must(pkitest.New("origin"))
	cert, key, err := ca.Leaf("localhost")
	if err != nil {
		t.Fatal(err)
	}
	l := must(tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{must(tls.X509KeyPair(cert, key))}}))
	t.Cleanup(func() { _ = l.Close() })
	o := &origin{url: "https://localhost:" + fmt.Sprint(l.Addr().(*net.TCPAddr).Port)}
	o.transport = &Transport{
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			o.dialled.Add(1)
			return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
		},
		TLS: &tls.Config{RootCAs: ca.Pool()}, HandshakeTimeout: 5 * time.Second,
		MaxHead: 64 << 10, MaxIdle: 8, MaxIdlePerHost: 4,
	}
	t.Cleanup(o.transport.CloseIdleConnections)
	var n atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				script(n.Add(1), c, bufio.NewReader(c))
			}()
		}
	}()
	return o
}

// ask returns what the origin answered, or the error.
func (o *origin) ask(method, body string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	request, err := http.NewRequestWithContext(ctx, method, o.url+"/p?q", content)
	if err != nil {
		return "", err
	}
	response, err := o.transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	return response.Status + " " + string(b), err
}

// heard reads a request; false = there is none any more.
func heard(r *bufio.Reader) (*http.Request, bool) {
	request, err := http.ReadRequest(r)
	if err != nil {
		return nil, false
	}
	b, err := io.ReadAll(request.Body)
	request.Body = io.NopCloser(bytes.NewReader(b))
	return request, err == nil
}

const okay = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestConnectionIsKept(t *testing.T) {
	o := newOrigin(t, func(n int32, c net.Conn, r *bufio.Reader) {
		for {
			request, ok := heard(r)
			if !ok {
				return
			}
			switch request.Method {
			case http.MethodHead:
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
			case http.MethodPut:
				_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
			case http.MethodPatch:
				_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"+okay)
			case http.MethodDelete:
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n")
			default:
				_, _ = io.WriteString(c, okay)
			}
		}
	})
	for method, want := range map[string]string{
		"GET": "200 OK ok", "HEAD": "200 OK ", "PUT": "204 No Content ", "PATCH": "200 OK ok", "DELETE": "200 OK ok", "POST": "200 OK ok",
	} {
		if got, err := o.ask(method, "body"); got != want || err != nil {
			t.Errorf("%s: %q %v", method, got, err)
		}
	}
	if n := o.dialled.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	o.transport.CloseIdleSince(time.Now().Add(-time.Minute))
	if got, err := o.ask("GET", ""); got != "200 OK ok" || err != nil || o.dialled.Load() != 1 {
		t.Errorf("not idle for long: %q %v, %d connections", got, err, o.dialled.Load())
	}
	o.transport.CloseIdleConnections()
	if got, err := o.ask("GET", ""); got != "200 OK ok" || err != nil || o.dialled.Load() != 2 {
		t.Errorf("closed: %q %v, %d connections", got, err, o.dialled.Load())
	}
	o.transport.Retire()
	for range 2 {
		if got, err := o.ask("GET", ""); got != "200 OK ok" || err != nil {
			t.Errorf("retired: %q %v", got, err)
		}
	}
	if n := o.dialled.Load(); n != 4 {
		t.Errorf("retired: %d connections", n)
	}
}

// TestKeptConnectionThatEnded is not used, whatever the method.
func TestKeptConnectionThatEnded(t *testing.T) {
	closed := make(chan struct{}, 5)
	o := newOrigin(t, func(n int32, c net.Conn, r *bufio.Reader) {
		if _, ok := heard(r); ok {
			_, _ = io.WriteString(c, okay)
		}
		_ = c.Close()
		closed <- struct{}{}
	})
	for i := range 5 {
		if got, err := o.ask("POST", "body"); got != "200 OK ok" || err != nil {
			t.Fatalf("%d: %q %v", i, got, err)
		}
		<-closed
		time.Sleep(20 * time.Millisecond) // the wire's
	}
	if n := o.dialled.Load(); n != 5 {
		t.Errorf("%d connections", n)
	}
}

// TestLostRequest: what a kept connection lost is asked once more when that
// does no harm, and only then.
func TestLostRequest(t *testing.T) {
	var asked sync.Map
	o := newOrigin(t, func(n int32, c net.Conn, r *bufio.Reader) {
		for i := 0; ; i++ {
			request, ok := heard(r)
			if !ok {
				return
			}
			if request.Header.Get("X-Lose") != "" && i > 0 {
				count, _ := asked.LoadOrStore(request.Method, new(atomic.Int32))
				count.(*atomic.Int32).Add(1)
				return
			}
			_, _ = io.WriteString(c, okay)
		}
	})
	for _, method := range []string{"GET", "POST"} {
		if _, err := o.ask("GET", ""); err != nil {
			t.Fatal(err)
		}
		request, _ := http.NewRequest(method, o.url, nil)
		request.Header.Set("X-Lose", "1")
		response, err := o.transport.RoundTrip(request)
		if err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
		}
		if lost := method == "POST"; lost != (err != nil) {
			t.Errorf("%s: %v", method, err)
		}
	}
	for _, method := range []string{"GET", "POST"} {
		if count, ok := asked.Load(method); !ok || count.(*atomic.Int32).Load() != 1 {
			t.Errorf("%s was not lost once", method)
		}
	}
}

// TestUnaskedAnswer: a connection on which the origin spoke unasked answers
// nothing more, so nobody gets an answer that was not for them.
func TestUnaskedAnswer(t *testing.T) {
	spoke := make(chan struct{}, 5)
	o := newOrigin(t, func(n int32, c net.Conn, r *bufio.Reader) {
		for {
			if _, ok := heard(r); !ok {
				return
			}
			_, _ = io.WriteString(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", n))
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned")
			spoke <- struct{}{}
		}
	})
	for i := range 5 {
		if got, err := o.ask("GET", ""); got != fmt.Sprintf("200 OK %d", i+1) || err != nil {
			t.Fatalf("%q %v", got, err)
		}
		<-spoke
		time.Sleep(10 * time.Millisecond) // the wire's
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for name, answer := range map[string]string{
		"long head":   "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 100) + "\r\n",
		"endless":     "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 200000),
		"switch":      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
		"interim":     strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 20) + okay,
		"no HTTP":     "SSH-2.0-x\r\n",
		"two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
		"short":       "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok",
		"nothing":     "",
	} {
		o := newOrigin(t, func(n int32, c net.Conn, r *bufio.Reader) {
			if _, ok := heard(r); ok {
				_, _ = io.WriteString(c, answer)
			}
		})
		if got, err := o.ask("GET", ""); err == nil {
			t.Errorf("%s: %q", name, got)
		}
		if n := o.dialled.Load(); n != 1 {
			t.Errorf("%s: %d connections", name, n)
		}
	}
}

// TestUntilTheEnd: a body without length ends with its connection.
func TestUntilTheEnd(t *testing.T) {
	o := newOrigin(t, func(n int32, c net.Conn, r *bufio.Reader) {
		if _, ok := heard(r); ok {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nto the end")
		}
	})
	for range 2 {
		if got, err := o.ask("GET", ""); got != "200 OK to the end" || err != nil {
			t.Errorf("%q %v", got, err)
		}
	}
}

// TestEarlyAnswer: who refuses before the body was read is heard.
func TestEarlyAnswer(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	o := newOrigin(t, func(n int32, c net.Conn, r *bufio.Reader) {
		_, _ = r.ReadString('\n')
		_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		<-done
	})
	if got, err := o.ask("POST", strings.Repeat("x", MostBody)); got != "413 Too Large " || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

// TestCancel ends what is under way, before and within the answer.
func TestCancel(t *testing.T) {
	asked, gone := make(chan struct{}, 1), make(chan struct{}, 2)
	o := newOrigin(t, func(n int32, c net.Conn, r *bufio.Reader) {
		request, ok := heard(r)
		if ok && request.Method == "GET" {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
		} else {
			asked <- struct{}{}
		}
		_, _ = r.ReadByte()
		gone <- struct{}{}
	})
	for _, method := range []string{"POST", "GET"} {
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			<-asked
			cancel()
		}()
		request, _ := http.NewRequestWithContext(ctx, method, o.url, nil)
		response, err := o.transport.RoundTrip(request)
		if err == nil {
			asked <- struct{}{}
			_, err = io.ReadAll(response.Body)
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", method, err)
		}
		<-gone
	}
}

func TestBodyLeftUnread(t *testing.T) {
	o := newOrigin(t, func(n int32, c net.Conn, r *bufio.Reader) {
		for {
			if _, ok := heard(r); !ok {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 100000))
		}
	})
	for range 3 {
		request, _ := http.NewRequest("GET", o.url, nil)
		response, err := o.transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	if n := o.dialled.Load(); n != 3 {
		t.Errorf("%d connections, with %d answers cut short", n, 3)
	}
}

func TestUntrusted(t *testing.T) {
	o := newOrigin(t, func(_ int32, _ net.Conn, r *bufio.Reader) { heard(r) })
	o.transport.TLS = &tls.Config{}
	_, err := o.ask("GET", "")
	var untrusted *tls.CertificateVerificationError
	if !errors.As(err, &untrusted) {
		t.Errorf("%v", err)
	}
}

// TestManyAtOnce: each gets its own answer, with the race detector watching.
func TestManyAtOnce(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.URL.Path, b)
	}))
	defer server.Close()
	transport := &Transport{
		Dial: new(net.Dialer).DialContext, TLS: server.Client().Transport.(*http.Transport).TLSClientConfig,
		MaxIdle: 8, MaxIdlePerHost: 8,
	}
	defer transport.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 100 {
				body := fmt.Sprintf("%d-%d", i, j)
				request, _ := http.NewRequest("POST", server.URL+"/"+body, strings.NewReader(body))
				response, err := transport.RoundTrip(request)
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(response.Body)
				if want := "/" + body + " " + body; string(b) != want || err != nil {
					t.Errorf("%q %v, want %q", b, err, want)
				}
			}
		})
	}
	wg.Wait()
}
