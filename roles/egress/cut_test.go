package egress

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// openStreams opens one stream of each kind to api.test and returns the paths
// that they were asked for.
func openStreams(t *testing.T, l *lab) []string {
	t.Helper()
	began := make(chan bool)
	l.origin.handler = func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Upgrade") != "":
			c, _ := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
			began <- true
			c.Read(r.Context())
			return
		case strings.HasPrefix(r.URL.Path, "/stream"):
			fmt.Fprintln(w, "event")
			w.(http.Flusher).Flush()
		}
		began <- true
		<-r.Context().Done()
	}
	paths := []string{"/silent1", "/silent2", "/stream1", "/stream2", "/socket"}
	for _, path := range paths {
		if path == "/socket" {
			go l.socket("wss://api.test/socket")
		} else {
			client := l.client(strings.HasSuffix(path, "2"))
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				r, _ := http.NewRequestWithContext(ctx, "GET", "https://api.test"+path, nil)
				if response, err := client.Do(r); err == nil {
					io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			}()
		}
		within(t, began, path)
	}
	return paths
}

// TestCutsAreRecordedAsSuch: whichever of a tunnel and its requests is cut
// first, the record of the end tells the policy's reason.
func TestCutsAreRecordedAsSuch(t *testing.T) {
	check := func(reason, more string, end func(*lab)) {
		t.Helper()
		l := newLab(t, route("api.test", "websocket: true", more))
		paths := openStreams(t, l)
		end(l)
		for _, path := range paths {
			l.wantVerdicts(1, `"action":"response","decision":"cut"`, reason, `"path":"`+path+`"`)
		}
		l.wantVerdicts(len(paths), `"action":"response"`)
	}
	for range 5 {
		check("the routes changed and no longer allow this", "", func(l *lab) {
			if err := l.reload(route("other.test")); err != nil {
				t.Fatal(err)
			}
		})
	}
	soon := time.Now().Add(5 * time.Second).UTC().Format(time.RFC3339Nano)
	check("the grant ended", "grant: g1\n    expires: "+soon, func(*lab) {})
	check("the bundle stops", "", func(l *lab) {
		l.stop()
		l.role.Audit.Close() // what Run left unrecorded stays so
	})
}

// TestCutLooksLikeACut: the agent sees the connection end, not a record that
// somebody forged.
func TestCutLooksLikeACut(t *testing.T) {
	l := newLab(t, route("api.test"))
	var sent atomic.Int64
	l.origin.handler = func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			n, _ := w.Write(make([]byte, 32<<10))
			sent.Add(int64(n))
		}
	}
	conn := l.tunnel("api.test", "http/1.1")
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); !strings.Contains(line, "200") {
		t.Fatalf("control: %q %v", line, err)
	}
	// The agent does not read on, so a record is on its way when the cut comes.
	for before := int64(-1); before != sent.Load(); time.Sleep(50 * time.Millisecond) {
		before = sent.Load()
	}
	l.wantVerdicts(0, `"action":"response"`)
	if err := l.reload(route("api.test", "paths: [/other]")); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, r)
	if err == nil || strings.Contains(err.Error(), "MAC") || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the agent saw %v", err)
	}
	l.wantVerdicts(1, `"action":"response","decision":"cut"`, "no longer allow this")
}
