package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// served is a server of h and a connection to it.
func served(t *testing.T, h http.HandlerFunc) (*Server, func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Handler: h, HeadTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler)}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		return c
	}
}

// told is what a server answered to one request, without its date.
func told(t *testing.T, r *bufio.Reader, method string) string {
	t.Helper()
	response, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return "error " + err.Error()
	}
	body, err := io.ReadAll(response.Body)
	if response.Header.Get("Date") == "" && response.StatusCode < http.StatusBadRequest {
		t.Error("a response without date")
	}
	response.Header.Del("Date")
	var text strings.Builder
	fmt.Fprintln(&text, response.Proto, response.Status, response.ContentLength, response.TransferEncoding, response.Close)
	for _, name := range slices.Sorted(maps.Keys(response.Header)) {
		fmt.Fprintln(&text, name, response.Header[name])
	}
	fmt.Fprintf(&text, "%q %v %v\n", body, err, response.Trailer)
	return text.String()
}

// answers is a handler with an answer of each kind.
func answers(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	switch r.URL.Path {
	case "/echo":
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %q %v %v", r.Method, r.Host, b, err, r.Trailer)
	case "/length":
		w.Header().Set("Content-Length", "5")
		_, _ = io.WriteString(w, "12345")
	case "/long":
		_, _ = io.WriteString(w, strings.Repeat("long ", 2000))
	case "/flush":
		for range 3 {
			_, _ = io.WriteString(w, "part ")
			_ = http.NewResponseController(w).Flush()
		}
	case "/trailer":
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Sum", "4")
		w.Header().Set(http.TrailerPrefix+"X-Late", "l")
	case "/none":
		w.WriteHeader(http.StatusNoContent)
	case "/nobody":
		w.WriteHeader(http.StatusNoContent)
		if _, err := io.WriteString(w, "nothing"); !errors.Is(err, http.ErrBodyNotAllowed) {
			panic(err)
		}
	case "/same":
		w.Header().Set("Etag", `"x"`)
		w.WriteHeader(http.StatusNotModified)
	case "/close":
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, "bye")
	case "/empty":
	case "/strange":
		w.WriteHeader(599)
	case "/short":
		w.Header().Set("Content-Length", "9")
		_, _ = io.WriteString(w, "1234")
	case "/abort":
		_, _ = io.WriteString(w, "some")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "/panic":
		panic("a handler's own fault")
	}
}

// TestAsNetHTTP: the same requests get the same answers as from net/http's
// server.
func TestAsNetHTTP(t *testing.T) {
	_, ours := served(t, answers)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	theirs := &http.Server{Handler: http.HandlerFunc(answers), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go theirs.Serve(l)
	defer theirs.Close()

	var cases []string
	for _, path := range []string{"/echo", "/length", "/long", "/flush", "/trailer", "/none", "/nobody", "/same", "/close", "/empty", "/strange", "/short", "/abort", "/panic"} {
		cases = append(cases, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n", "GET "+path+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if path != "/close" { // HTTP/1.0 need not say so
			cases = append(cases, "GET "+path+" HTTP/1.0\r\n\r\n")
		}
		if path != "/abort" && path != "/short" && path != "/trailer" { // net/http sends the length of a body that never comes
			cases = append(cases, "HEAD "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
		}
	}
	cases = append(cases,
		"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
		"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\nX-T: v\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n0\r\nX-Unannounced: v\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\nContent-Length: 4\r\n\r\nbody",
		"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
	)
	for _, request := range cases {
		var got [2]string
		for i, conn := range []net.Conn{ours(), must(net.Dial("tcp", l.Addr().String()))} {
			_, _ = io.WriteString(conn, request)
			r := bufio.NewReader(conn)
			method, _, _ := strings.Cut(request, " ")
			got[i] = told(t, r, method)
			// Whether the connection lives on shows with a second request.
			_, _ = io.WriteString(conn, "GET /length HTTP/1.1\r\nHost: b\r\n\r\n")
			got[i] += told(t, r, "GET")
			_ = conn.Close()
		}
		// They describe an ended connection in several ways.
		for i, text := range got {
			before, _, _ := strings.Cut(text, "error ")
			got[i] = before
		}
		if got[0] != got[1] {
			t.Errorf("%q:\nhttp1    %snet/http %s", request, got[0], got[1])
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestContinueIsAskedFor(t *testing.T) {
	_, dial := served(t, answers)
	c := dial()
	_, _ = io.WriteString(c, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("%q %v", line, err)
	}
	_, _ = r.ReadString('\n')
	_, _ = io.WriteString(c, "body")
	if got := told(t, r, "POST"); !strings.Contains(got, `\"body\"`) {
		t.Error(got)
	}
	// One that is not asked for is not waited for.
	c = dial()
	_, _ = io.WriteString(c, "POST /length HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	if got := told(t, bufio.NewReader(c), "POST"); !strings.Contains(got, "200 OK 5") || !strings.Contains(got, "true\n") {
		t.Error(got)
	}
}

// TestUnreadBodyDoesNotEatTheAnswer: who still sends gets the answer.
func TestUnreadBodyDoesNotEatTheAnswer(t *testing.T) {
	_, dial := served(t, answers)
	for range 20 {
		c := dial()
		_, _ = io.WriteString(c, "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n")
		_, _ = c.Write(make([]byte, 200000))
		if got := told(t, bufio.NewReader(c), "POST"); !strings.Contains(got, "200 OK 5") {
			t.Fatal(got)
		}
		_ = c.Close()
	}
}

// TestAnswerBegunBeforeTheBodyIsRead: the handler still gets all of the body, and
// the connection lives on.
func TestAnswerBegunBeforeTheBodyIsRead(t *testing.T) {
	_, dial := served(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		if r.Method == http.MethodPost {
			_, _ = io.Copy(w, r.Body)
		}
	})
	c := dial()
	r := bufio.NewReader(c)
	for _, method := range []string{"POST", "PUT", "POST"} {
		_, _ = io.WriteString(c, method+" / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
		if got := told(t, r, method); strings.Contains(got, "body") != (method == http.MethodPost) || strings.Contains(got, "error") {
			t.Errorf("%s: %s", method, got)
		}
	}
}

func TestPipelined(t *testing.T) {
	_, dial := served(t, answers)
	c := dial()
	_, _ = io.WriteString(c, strings.Repeat("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", 50))
	r := bufio.NewReader(c)
	for i := range 50 {
		if got := told(t, r, "POST"); !strings.Contains(got, `\"body\"`) {
			t.Fatalf("%d: %s", i, got)
		}
	}
}

// TestClientLeaves: the context of a request ends when its client does.
func TestClientLeaves(t *testing.T) {
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	_, dial := served(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		began <- struct{}{}
		select {
		case <-r.Context().Done():
			ended <- nil
		case <-time.After(5 * time.Second):
			ended <- errors.New("nobody noticed")
		}
	})
	for _, request := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"} {
		c := dial()
		_, _ = io.WriteString(c, request)
		<-began
		_ = c.Close()
		if err := <-ended; err != nil {
			t.Errorf("%q: %v", request, err)
		}
	}
}

// TestSlowRequestsKeepTheConnection: looking for the client's end takes
// nothing from the next request.
func TestSlowRequestsKeepTheConnection(t *testing.T) {
	_, dial := served(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(2 * watchDelay)
		answers(w, r)
	})
	c := dial()
	r := bufio.NewReader(c)
	for i := range 5 {
		_, _ = io.WriteString(c, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
		if i == 3 { // pipelined, while the watcher reads
			time.Sleep(watchDelay + watchDelay/2)
			_, _ = io.WriteString(c, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
			if got := told(t, r, "GET"); !strings.Contains(got, "GET a") {
				t.Fatal(got)
			}
		}
		if got := told(t, r, "GET"); !strings.Contains(got, "GET a") {
			t.Fatalf("%d: %s", i, got)
		}
	}
}

func TestShutdown(t *testing.T) {
	release := make(chan struct{})
	s, dial := served(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		_, _ = io.WriteString(w, "done")
	})
	busy, idle := dial(), dial()
	_, _ = io.WriteString(busy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	for {
		s.mu.Lock()
		serving := slices.Collect(maps.Values(s.conns))
		s.mu.Unlock()
		if len(serving) == 2 && slices.Contains(serving, true) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a request under way: %v", err)
	}
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the idle connection: %v", err)
	}
	close(release)
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if got := told(t, bufio.NewReader(busy), "GET"); !strings.Contains(got, `"done"`) || !strings.Contains(got, "true\n") {
		t.Error(got)
	}
}

func TestHijack(t *testing.T) {
	_, dial := served(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(2 * watchDelay)
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		line, _ := buffered.ReadString('\n')
		_, _ = io.WriteString(c, "raw "+line)
	})
	c := dial()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\nafter\n")
	if b, err := io.ReadAll(c); string(b) != "raw after\n" || err != nil {
		t.Errorf("%q %v", b, err)
	}
}
