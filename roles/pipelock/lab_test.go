package pipelock

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
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
	"time"

	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/internal/pipelocktest"
	"github.com/claude-bottle/claude-bottle/internal/pkitest"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/roles/pipelock/config"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// lab is an origin, a stand-in and a role that leads to it.
type lab struct {
	t       testing.TB
	dir     string
	standIn pipelocktest.StandIn
	origin  *httptest.Server
	port    string
	hits    atomic.Int64 // requests that reached the origin
	roots   *pkitest.CA  // of the origin
	own     *pkitest.CA  // of inspected tunnels
	health  *health.Registry
	log     *lockedBuffer
	config  Config
	role    *Role
}

const (
	allowed   = "allowed.test"
	inspected = "inspected.test"
	denied    = "denied.test"
	secret    = "correct-horse-battery-staple"
)

// newLab makes all but the role. Every name resolves to this machine, so that
// only the allowlist decides.
func newLab(t testing.TB) *lab {
	l := &lab{t: t, dir: t.TempDir(), standIn: pipelocktest.Build(t), health: health.New("pipelock"), log: new(lockedBuffer)}
	for _, ca := range []**pkitest.CA{&l.roots, &l.own} {
		var err error
		if *ca, err = pkitest.New("lab"); err != nil {
			t.Fatal(err)
		}
	}
	l.startOrigin()
	l.standIn.Hooks(t, l.names()...)
	key, err := l.own.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	l.write("ca.pem", l.own.CertPEM())
	l.write("ca-key.pem", key)
	l.write("roots.pem", l.roots.CertPEM())
	l.allow(allowed, inspected)
	scanner, err := secretscan.New([]string{secret})
	if err != nil {
		t.Fatal(err)
	}
	l.config = Config{
		Bin:        l.standIn.Path,
		SHA256:     l.standIn.SHA256,
		ConfigPath: filepath.Join(l.dir, "pipelock.yaml"),
		CACertPath: filepath.Join(l.dir, "ca.pem"),
		CAKeyPath:  filepath.Join(l.dir, "ca-key.pem"),
		TrustedCAs: filepath.Join(l.dir, "roots.pem"),
		Secrets:    []string{secret, "short"},
		Scanner:    scanner,
		Health:     l.health.Role("pipelock"),
		Log:        slog.New(slog.NewJSONHandler(l.log, nil)),
		RunDir:     l.dir,
	}
	return l
}

func (l *lab) startOrigin() {
	l.origin = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.hits.Add(1)
		if r.URL.Path == "/stream" {
			stream(w, r)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%s %s %d", r.Method, r.Host, n)
	}))
	cert, err := l.roots.TLS(allowed, inspected, denied)
	if err != nil {
		l.t.Fatal(err)
	}
	l.origin.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	l.origin.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	l.origin.StartTLS()
	l.t.Cleanup(l.origin.Close)
	_, l.port, _ = net.SplitHostPort(l.origin.Listener.Addr().String())
}

// stream answers a line for each line it is sent.
func stream(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	control.EnableFullDuplex()
	control.Flush()
	buf := make([]byte, 1024)
	for {
		n, err := r.Body.Read(buf)
		w.Write(buf[:n])
		control.Flush()
		if err != nil {
			return
		}
	}
}

func (l *lab) names() []string {
	return []string{"host " + allowed + " 127.0.0.1", "host " + inspected + " 127.0.0.1", "host " + denied + " 127.0.0.1"}
}

func (l *lab) write(name string, b []byte) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), b, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// allow writes the configuration for the hosts, of which only inspected.test
// is inspected, and returns its SHA-256.
func (l *lab) allow(hosts ...string) string {
	l.t.Helper()
	var all []routes.Route
	for _, host := range hosts {
		route := routes.Route{Host: host, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
		if host != inspected {
			route.Pipelock = "passthrough"
		}
		all = append(all, route)
	}
	table, err := routes.New(all)
	if err != nil {
		l.t.Fatal(err)
	}
	yaml, err := config.Render(table, config.Options{})
	if err != nil {
		l.t.Fatal(err)
	}
	l.write("pipelock.yaml", yaml)
	return digest(yaml)
}

// start runs the role, waits for its first child and stops it with the test.
func (l *lab) start() <-chan error {
	l.t.Helper()
	role, err := New(l.config)
	if err != nil {
		l.t.Fatal(err)
	}
	l.role = role
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	gone := make(chan struct{})
	go func() { ended <- role.Run(ctx); close(gone) }()
	l.t.Cleanup(func() { cancel(); <-gone })
	l.until("the first child is ready", func() bool {
		select {
		case err := <-ended:
			l.t.Fatalf("the role ended: %v\n%s", err, l.log)
		default:
		}
		return l.report().State == health.Ready
	})
	return ended
}

func (l *lab) report() health.RoleReport { return l.health.Report().Roles["pipelock"] }

// until waits for something that must happen.
func (l *lab) until(what string, true func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(time.Minute); !true(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("not within a minute: %s\n%s", what, lastOf(l.log.String()))
		}
	}
}

// replaced asks for a new child and waits for it.
func (l *lab) replaced() {
	l.t.Helper()
	before := l.role.Epoch()
	l.role.Replace()
	l.until("the child is replaced", func() bool { return l.role.Epoch() > before })
}

// children returns the pids of living stand-ins of this lab.
func (l *lab) children() []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && bytes.HasPrefix(line, []byte(l.standIn.Path+"\x00")) {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

// client sends everything through dial, and trusts the origin's authority and,
// if inspects, that of inspected tunnels instead.
func (l *lab) client(inspects bool, dial func(context.Context) (net.Conn, error)) *http.Client {
	pool := l.roots.Pool()
	if inspects {
		pool = l.own.Pool()
	}
	t := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: "child"}),
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		TLSClientConfig: &tls.Config{RootCAs: pool},
	}
	l.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

func (l *lab) url(host string) string { return "https://" + net.JoinHostPort(host, l.port) + "/" }

// get returns the body of an answer 200.
func (l *lab) get(c *http.Client, url string) (string, error) {
	response, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status + ": " + string(body))
	}
	return string(body), err
}

func (l *lab) mustGet(c *http.Client, host string) {
	l.t.Helper()
	want := "GET " + net.JoinHostPort(host, l.port) + " 0"
	if got, err := l.get(c, l.url(host)); err != nil || got != want {
		l.t.Fatalf("GET %s: %q, %v\n%s", host, got, err, l.log)
	}
}

// mustNotReach fails when anything reaches the origin.
func (l *lab) mustNotReach(what string, attempt func() error, words string) {
	l.t.Helper()
	before := l.hits.Load()
	err := attempt()
	if err == nil || !strings.Contains(err.Error(), words) {
		l.t.Errorf("%s: got %v, want %q", what, err, words)
	}
	if n := l.hits.Load() - before; n != 0 {
		l.t.Errorf("%s: %d requests reached the origin", what, n)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// lastOf keeps a failure readable.
func lastOf(log string) string { return log[max(0, len(log)-2000):] }
