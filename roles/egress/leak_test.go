package egress

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"testing"
	"time"
)

// misbehaviour is over when the channel is closed.
type misbehaviour chan struct{}

// ServeHTTP answers as the request's path asks it to.
func (m misbehaviour) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	switch r.URL.Path {
	case "/silent":
		m.wait(r)
	case "/gone":
		panic(http.ErrAbortHandler)
	case "/half", "/stuck":
		w.Header().Set("Content-Length", "5000")
		_, _ = io.WriteString(w, "half")
		_ = control.Flush()
		if r.URL.Path == "/stuck" {
			m.wait(r)
		}
	case "/early":
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case "/endless":
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 8<<10)); err != nil {
				return
			}
		}
	case "/raw", "/twice", "/junk":
		conn, _, err := control.Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, map[string]string{
			"/raw":   "HTTP/1.1 200 OK\r\n\r\nuntil the end",
			"/twice": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb",
			"/junk":  "HTTP/1.1 100 Continue\r\n\r\nSMTP\r\n\r\n",
		}[r.URL.Path])
	default:
		_, _ = io.Copy(w, r.Body)
	}
}

// wait does so also for agents whose leaving the origin does not notice, because
// it never read what they sent.
func (m misbehaviour) wait(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-m:
	}
}

// strays is what agents do, beginning with a request for a path.
var strays = []string{
	"GET %s HTTP/1.1\r\nHost: api.test\r\n\r\n",
	"GET %s HTTP/1.0\r\nHost: api.test\r\n\r\n",
	"GET %s HTTP/1.1\r\nHost: api.test\r\n\r\nGET /next HTTP/1.1\r\nHost: api.test\r\n\r\n",
	"GET %s HTTP/1.1\r\nHost: api.test\r\n\r\nGET",
	"GET %s HTTP/1.1\r\nHost: api.test\r\n\r\n\nbroken\n",
	"GET %s HTTP/1.1\r\nHost: other.test\r\n\r\n",
	"POST %s HTTP/1.1\r\nHost: api.test\r\nContent-Length: 10\r\n\r\n0123456789",
	"POST %s HTTP/1.1\r\nHost: api.test\r\nContent-Length: 900000\r\n\r\n01234",
	"POST %s HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n0\r\n\r\n",
	"POST %s HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n",
	"POST %s HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234xx",
	"CONNECT %s HTTP/1.1\r\nHost: api.test\r\n\r\n",
	"GET %s HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
	"GET %s HT",
}

var places = []string{"/silent", "/gone", "/half", "/stuck", "/early", "/endless", "/raw", "/twice", "/junk", "/ok"}

// TestNothingIsLeft: whatever agents and origins do to each other, no goroutine
// and no descriptor outlives them.
func TestNothingIsLeft(t *testing.T) {
	l := newLab(t, route("api.test", "websocket: true"))
	over := make(misbehaviour)
	l.origin.handler = over.ServeHTTP
	l.ask("GET", "https://api.test/ok", "")
	goroutines, files := quietly(l, 0, 0, 3*time.Second)
	var agents sync.WaitGroup
	for range 8 {
		agents.Go(func() {
			for range 60 {
				conn := l.tunnel("api.test")
				message := fmt.Sprintf(strays[rand.IntN(len(strays))], places[rand.IntN(len(places))])
				_, _ = io.WriteString(conn, message)
				if rand.IntN(3) > 0 {
					_ = conn.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(60)) * time.Millisecond))
					_, _ = io.CopyN(io.Discard, conn, 100_000)
				}
				if rand.IntN(2) > 0 {
					_ = conn.NetConn().Close()
				} else {
					_ = conn.Close()
				}
			}
		})
	}
	agents.Wait()
	close(over)
	if g, f := quietly(l, goroutines, files, 12*time.Second); g > goroutines || f > files {
		var stacks bytes.Buffer
		_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		t.Errorf("%d goroutines before, %d after; %d descriptors before, %d after\n%s", goroutines, g, files, f, &stacks)
	}
	l.origin.handler = nil
	l.origin.all()
	l.wantThrough("control", l.ask("GET", "https://api.test/", ""))
}

// quietly counts goroutines and descriptors when they are no more than given,
// or after a time.
func quietly(l *lab, goroutines, files int, limit time.Duration) (int, int) {
	l.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		dropIdle(l.role.live.Load())
		entries := must(os.ReadDir("/proc/self/fd"))(l.t)
		if g, f := runtime.NumGoroutine(), len(entries); g <= goroutines && f <= files || time.Now().After(end) {
			return g, f
		}
	}
}

// dropIdle closes what is kept for later requests.
func dropIdle(l *live) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop()
}
