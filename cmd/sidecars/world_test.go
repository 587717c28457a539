package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/internal/dnstest"
	"github.com/claude-bottle/claude-bottle/internal/pipelocktest"
	"github.com/claude-bottle/claude-bottle/internal/pkitest"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	pipelockconfig "github.com/claude-bottle/claude-bottle/roles/pipelock/config"
)

// token is the credential that egress injects for the origin.
const token = "tok-5b1f9c0e7a2d4468"

const (
	originHost = "api.origin.test"
	// originName is the hook by which the stand-in resolves it.
	originName = "host " + originHost + " 127.0.0.1"
)

// world is an origin that wants a token, and a bundle with every role that
// leads to it. Health and agent-facing listeners are unix sockets.
type world struct {
	*bundleProcess
	standIn  pipelocktest.StandIn
	egressCA *pkitest.CA
	origin   *httptest.Server
	port     string
	arrived  atomic.Int64
	chunks   chan string // what /stream sends; closed = it ends
}

// newWorld prepares everything; start it with start. Later variables win.
func newWorld(t *testing.T, environ ...string) *world {
	t.Helper()
	w := &world{standIn: pipelocktest.Build(t), chunks: make(chan string)}
	originCA, pipelockCA := newCA(t, "origin"), newCA(t, "pipelock")
	w.egressCA = newCA(t, "egress")
	leaf, err := originCA.TLS(originHost)
	if err != nil {
		t.Fatal(err)
	}
	w.origin = httptest.NewUnstartedServer(http.HandlerFunc(w.answer))
	w.origin.TLS = &tls.Config{Certificates: []tls.Certificate{leaf}}
	w.origin.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	w.origin.StartTLS()
	t.Cleanup(w.origin.Close)
	_, w.port, _ = net.SplitHostPort(w.origin.Listener.Addr().String())

	w.bundleProcess = newBundle(t)
	w.cmd.Env = append(w.cmd.Env,
		"EGRESS_LISTEN=unix:"+w.path("egress.sock"),
		"EGRESS_ROUTES="+w.path("routes.yaml"),
		"EGRESS_CA_CERT="+w.path("egress-ca.pem"),
		"EGRESS_CA_KEY="+w.path("egress-ca-key.pem"),
		"EGRESS_UPSTREAM_CA="+w.path("origin-ca.pem"),
		"EGRESS_RESOLVER="+dnstest.Serve(t, netip.MustParseAddr("127.0.0.1")),
		"EGRESS_TOKEN_1="+token,
		"PIPELOCK_LISTEN=unix:"+w.path("pipelock.sock"),
		"PIPELOCK_CONFIG="+w.path("pipelock.yaml"),
		"PIPELOCK_CA_CERT="+w.path("pipelock-ca.pem"),
		"PIPELOCK_CA_KEY="+w.path("pipelock-ca-key.pem"),
		"PIPELOCK_BIN="+w.standIn.Path,
		"PIPELOCK_SHA256="+w.standIn.SHA256,
		"GIT_GATE_LISTEN=unix:"+w.path("git.sock"),
		"GIT_GATE_CONFIG="+w.path("git-gate.yaml"),
		"SUPERVISE_LISTEN=unix:"+w.path("supervise.sock"),
		"SUPERVISE_QUEUE="+w.path("queue"),
	)
	w.cmd.Env = append(w.cmd.Env, environ...)
	for name, ca := range map[string]*pkitest.CA{"origin": originCA, "pipelock": pipelockCA, "egress": w.egressCA} {
		key, err := ca.KeyPEM()
		if err != nil {
			t.Fatal(err)
		}
		w.write(name+"-ca.pem", string(ca.CertPEM()))
		w.write(name+"-ca-key.pem", string(key))
	}
	w.write("git-gate.yaml", "repos: {}\n")
	w.standIn.Hooks(t, originName)
	w.routes(originHost)
	return w
}

func newCA(t *testing.T, name string) *pkitest.CA {
	t.Helper()
	ca, err := pkitest.New(name)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func (w *world) write(name, content string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// routes writes the files of both filters for hosts at the origin's port.
func (w *world) routes(hosts ...string) {
	w.t.Helper()
	var text strings.Builder
	text.WriteString("routes:\n")
	for _, host := range hosts {
		fmt.Fprintf(&text, "  - host: %s\n    ports: [%s]\n    networks: [127.0.0.0/8]\n"+
			"    auth: {scheme: Bearer, token_env: EGRESS_TOKEN_1}\n", host, w.port)
	}
	w.write("routes.yaml", text.String())
	table, err := routes.Parse([]byte(text.String()))
	if err != nil {
		w.t.Fatal(err)
	}
	yaml, err := pipelockconfig.Render(table, pipelockconfig.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("pipelock.yaml", string(yaml))
}

// answer is the origin.
func (w *world) answer(rw http.ResponseWriter, r *http.Request) {
	w.arrived.Add(1)
	if r.Header.Get("Authorization") != "Bearer "+token {
		http.Error(rw, "no token", http.StatusUnauthorized)
		return
	}
	if r.URL.Path != "/stream" {
		io.WriteString(rw, "hello")
		return
	}
	rw.Header().Set("Content-Type", "text/event-stream")
	for chunk := range w.chunks {
		io.WriteString(rw, chunk+"\n")
		rw.(http.Flusher).Flush()
	}
}

// agent is an HTTP client that knows only the proxy at one socket.
func (w *world) agent(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy"}),
		TLSClientConfig: &tls.Config{RootCAs: w.egressCA.Pool()},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", w.path(socket))
		},
	}}
}

func (w *world) url(path string) string { return "https://" + originHost + ":" + w.port + path }

// works expects that a request gets through.
func (w *world) works() {
	w.t.Helper()
	client := w.agent("egress.sock")
	defer client.CloseIdleConnections()
	if status, body := get(client, w.url("/")); status != 200 || body != "hello" {
		w.t.Errorf("request: %d %s", status, body)
	}
}

// stream opens a response that lasts, and reads its first line.
func (w *world) stream() *bufio.Reader {
	w.t.Helper()
	client := w.agent("egress.sock")
	w.t.Cleanup(client.CloseIdleConnections)
	go func() { w.chunks <- "first" }()
	response, err := client.Get(w.url("/stream"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { response.Body.Close() })
	reader := bufio.NewReader(response.Body)
	w.next(reader, "first")
	return reader
}

func (w *world) next(stream *bufio.Reader, want string) {
	w.t.Helper()
	if line, err := stream.ReadString('\n'); err != nil || line != want+"\n" {
		w.t.Fatalf("the stream gave %q, %v; want %q", line, err, want)
	}
}

// children are the bundle's child processes, as this namespace numbers them.
func (w *world) children() (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", w.cmd.Process.Pid))
	for _, file := range files {
		list, _ := os.ReadFile(file)
		for field := range strings.FieldsSeq(string(list)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// outside is the number here of the child that the bundle, in a namespace of
// its own, knows by another.
func (w *world) outside(pid int) int {
	w.t.Helper()
	for _, child := range w.children() {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", child))
		for line := range strings.Lines(string(status)) {
			numbers, ok := strings.CutPrefix(line, "NSpid:")
			if ok && strings.HasSuffix(strings.TrimSpace(numbers), "\t"+strconv.Itoa(pid)) {
				return child
			}
		}
	}
	w.t.Fatalf("no child among %v is %d in the bundle's namespace", w.children(), pid)
	return 0
}

func (w *world) waitChildren(n int) []int {
	w.t.Helper()
	w.wait(fmt.Sprintf("%d children", n), func() bool { return len(w.children()) == n },
		func() string { return fmt.Sprint(w.children()) })
	return w.children()
}

// waitPID waits until another child than the given one is in force.
func (w *world) waitPID(old int) health.Report {
	w.t.Helper()
	return w.waitHealth("another child", func(r health.Report) bool {
		pid := r.Roles["pipelock"].PID
		return r.Ready && pid != old && pid != 0
	})
}

// audited counts the records with an actor and an action.
func (w *world) audited(actor, action string) (n int) {
	w.t.Helper()
	err := audit.Read(w.path("audit/bundle.jsonl"), func(e audit.Entry) error {
		if e.Actor == actor && e.Action == action {
			n++
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// load sends requests from several agents until stop is called, which returns
// how many there were and the failures.
func (w *world) load(agents int) (stop func() (int64, []string)) {
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		failed []string
		total  atomic.Int64
		done   = make(chan struct{})
	)
	for i := range agents {
		client := w.agent("egress.sock")
		client.Transport.(*http.Transport).DisableKeepAlives = i%2 == 0
		wg.Go(func() {
			defer client.CloseIdleConnections()
			for {
				select {
				case <-done:
					return
				default:
				}
				total.Add(1)
				if status, body := get(client, w.url("/")); status != 200 || body != "hello" {
					mu.Lock()
					failed = append(failed, fmt.Sprint(status, " ", body))
					mu.Unlock()
				}
			}
		})
	}
	return func() (int64, []string) {
		close(done)
		wg.Wait()
		return total.Load(), failed
	}
}
