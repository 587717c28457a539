package demo

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/claude-bottle/claude-bottle/internal/pkitest"
)

// world is the demo's part of the internet: one TLS server on this machine
// under several names, and the name server that knows them.
type world struct {
	dir       string
	token     string // what the API demands
	port      uint16
	caPath    string // the authority that signed the server's certificate
	names     *nameServer
	server    *http.Server
	collected atomic.Int64 // requests that reached the page nobody may reach
	leaked    atomic.Int64 // requests to the API with a credential not its own
}

// streamLasts is how long the event stream sends one event each 50 ms.
const streamLasts = 8 * time.Second

func startWorld(dir string) (*world, error) {
	w := &world{dir: dir, token: rand.Text(), caPath: filepath.Join(dir, "internet-ca.pem")}
	ca, err := pkitest.New("claude-bottle demo internet")
	if err != nil {
		return nil, err
	}
	certificate, err := ca.TLS("*.demo.test")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(w.caPath, ca.CertPEM(), 0o600); err != nil {
		return nil, err
	}
	repositories, err := makeRepository(dir)
	if err != nil {
		return nil, err
	}
	if w.names, err = startNameServer(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w.port = uint16(listener.Addr().(*net.TCPAddr).Port)
	w.server = &http.Server{
		Handler:   w.handler(repositories),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	go w.server.ServeTLS(listener, "", "")
	return w, nil
}

func (w *world) close() {
	w.server.Close()
	w.names.conn.Close()
}

func (w *world) handler(repositories string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("api.demo.test/v1/me", w.api)
	mux.HandleFunc("api.demo.test/", w.collect)
	mux.HandleFunc("collector.demo.test/", w.collect)
	mux.HandleFunc("events.demo.test/stream", stream)
	mux.HandleFunc("docs.demo.test/", page("the documentation"))
	mux.HandleFunc("new.demo.test/", page("the manual"))
	mux.Handle("git.demo.test/", &cgi.Handler{
		Path: gitHTTPBackend(),
		Env:  []string{"GIT_PROJECT_ROOT=" + repositories, "GIT_HTTP_EXPORT_ALL=1"},
	})
	return mux
}

// api answers only to its token.
func (w *world) api(rw http.ResponseWriter, r *http.Request) {
	switch got := r.Header.Values("Authorization"); {
	case len(got) == 1 && got[0] == "Bearer "+w.token:
		fmt.Fprint(rw, "hello, demo user")
	case len(got) > 0:
		w.leaked.Add(1)
		http.Error(rw, "wrong token", http.StatusForbidden)
	default:
		http.Error(rw, "token wanted", http.StatusUnauthorized)
	}
}

func (w *world) collect(http.ResponseWriter, *http.Request) { w.collected.Add(1) }

func page(text string) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, text) }
}

func stream(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(streamLasts); time.Now().Before(end); {
		fmt.Fprintf(rw, "data: %s\n\n", time.Now().Format("15:04:05.000"))
		rw.(http.Flusher).Flush()
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
	fmt.Fprint(rw, "data: complete\n\n")
}

// makeRepository makes a bare repository with one commit and returns the
// folder it lies in.
func makeRepository(dir string) (string, error) {
	folder := filepath.Join(dir, "repositories")
	work := filepath.Join(dir, "seed")
	if err := errors.Join(os.MkdirAll(folder, 0o700), os.MkdirAll(work, 0o700)); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(work, "README"), []byte("a repository\n"), 0o600); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main", work},
		{"-C", work, "add", "README"},
		{"-C", work, "-c", "user.name=demo", "-c", "user.email=demo@demo.test", "commit", "-q", "-m", "first"},
		{"clone", "-q", "--bare", work, filepath.Join(folder, "demo.git")},
	} {
		cmd := exec.CommandContext(context.Background(), "git", args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	return folder, nil
}

// gitHTTPBackend is git's own server program.
func gitHTTPBackend() string {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return "git-http-backend"
	}
	return filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
}
