package control_test

import (
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
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/internal/dnstest"
	"github.com/claude-bottle/claude-bottle/internal/pipelocktest"
	"github.com/claude-bottle/claude-bottle/internal/pkitest"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/roles/pipelock/config"
	"github.com/claude-bottle/claude-bottle/state"
)

// sidecars is the real bundle, built once with the race detector.
var sidecars string

func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		victim()
	}
	dir, err := os.MkdirTemp("", "control-test-")
	if err != nil {
		panic(err)
	}
	sidecars = filepath.Join(dir, "sidecars")
	build := exec.Command("go", "build", "-race", "-ldflags", "-X main.version=test -X main.graceForTests=1500ms", "-o", sidecars, "../cmd/sidecars")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build sidecars: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

const slug = "tested"

// lab is a bundle with both filters and the MCP server, and an origin behind it.
type lab struct {
	t       *testing.T
	home    state.Home
	dir     state.Dir
	standIn pipelocktest.StandIn
	agentCA *pkitest.CA
	origin  *httptest.Server
	port    uint16
	env     []string
	hooks   []string
	// interrupt ends the operator's command that runs.
	interrupt func()

	cmd    *exec.Cmd
	exited chan struct{}
	log    strings.Builder
}

// bottle is the lab's bundle as control sees one. A test may put itself before
// a method.
type bottle struct {
	dir       state.Dir
	pid       int
	writing   func(name string) error
	signalled func(os.Signal) error
}

func (b *bottle) ReadFile(_ context.Context, name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(b.dir.In(), name))
}

// WriteFile writes in place, as a single-file mount wants it.
func (b *bottle) WriteFile(_ context.Context, name string, content []byte) error {
	if b.writing != nil {
		if err := b.writing(name); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(b.dir.In(), name), content, 0o600)
}

func (b *bottle) Signal(_ context.Context, s os.Signal) error {
	if b.signalled != nil {
		if err := b.signalled(s); err != nil {
			return err
		}
	}
	return syscall.Kill(b.pid, s.(syscall.Signal))
}

func (b *bottle) Health(ctx context.Context) ([]byte, error) {
	_, body, err := health.Probe(ctx, "unix:"+filepath.Join(b.dir.Run(), "health.sock"))
	return body, err
}

// newLab starts a bundle whose routes lead to the origin: api.test is inspected,
// stream.test is passed through.
func newLab(t *testing.T) *lab {
	t.Helper()
	root, err := os.MkdirTemp("", "control-") // short, for its sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	l := &lab{t: t, home: state.Home(root), standIn: pipelocktest.Build(t)}
	if l.dir, err = l.home.Create(slug); err != nil {
		t.Fatal(err)
	}
	l.startOrigin()
	names := dnstest.Serve(t, netip.MustParseAddr("127.0.0.1"))
	for name, path := range map[string]string{"agent": l.dir.CACert(), "pipelock": l.dir.PipelockCACert()} {
		ca := newCA(t, name)
		key, err := ca.KeyPEM()
		if err != nil {
			t.Fatal(err)
		}
		l.write(path, ca.CertPEM())
		l.write(strings.TrimSuffix(path, ".pem")+"-key.pem", key)
		if name == "agent" {
			l.agentCA = ca
		}
	}
	l.env = []string{
		"CLAUDE_BOTTLE_SIDECAR_DAEMONS=egress,pipelock,supervise",
		"CLAUDE_BOTTLE_HEALTH_LISTEN=unix:" + l.run("health.sock"),
		"CLAUDE_BOTTLE_AUDIT=" + l.dir.Audit(),
		"CLAUDE_BOTTLE_SLUG=" + slug,
		"EGRESS_LISTEN=unix:" + l.run("egress.sock"),
		"EGRESS_ROUTES=" + l.dir.Routes(),
		"EGRESS_CA_CERT=" + l.dir.CACert(),
		"EGRESS_CA_KEY=" + l.dir.CAKey(),
		"EGRESS_UPSTREAM_CA=" + filepath.Join(root, "origin.pem"),
		"EGRESS_RESOLVER=" + names,
		"PIPELOCK_LISTEN=unix:" + l.run("pipelock.sock"),
		"PIPELOCK_CONFIG=" + l.dir.Pipelock(),
		"PIPELOCK_CA_CERT=" + l.dir.PipelockCACert(),
		"PIPELOCK_CA_KEY=" + l.dir.PipelockCAKey(),
		"PIPELOCK_BIN=" + l.standIn.Path,
		"PIPELOCK_SHA256=" + l.standIn.SHA256,
		"SUPERVISE_LISTEN=unix:" + l.run("supervise.sock"),
		"SUPERVISE_QUEUE=" + l.dir.Queue(),
		"SUPERVISE_WAIT=30m",
		"TMPDIR=" + root,
		"GORACE=atexit_sleep_ms=0",
	}
	for _, host := range []string{"api", "stream", "new", "other"} {
		l.hooks = append(l.hooks, "host "+host+".test 127.0.0.1")
	}
	l.standIn.Hooks(t, l.hooks...)
	l.routes(l.route("api.test"), func() routes.Route {
		r := l.route("stream.test")
		r.WebSocket, r.Pipelock = true, routes.Passthrough
		return r
	}())
	l.start()
	return l
}

func newCA(t *testing.T, name string) *pkitest.CA {
	t.Helper()
	ca, err := pkitest.New(name)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func (l *lab) run(name string) string { return filepath.Join(l.dir.Run(), name) }

func (l *lab) write(path string, content []byte) {
	l.t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) read(path string) string {
	l.t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(content)
}

// route is one that leads to the origin.
func (l *lab) route(host string) routes.Route {
	return routes.Route{Host: host, Ports: []uint16{l.port}, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

// routes writes the files of both filters.
func (l *lab) routes(all ...routes.Route) {
	l.t.Helper()
	table, err := routes.New(all)
	if err != nil {
		l.t.Fatal(err)
	}
	yaml, err := config.Render(table, config.Options{})
	if err != nil {
		l.t.Fatal(err)
	}
	l.write(l.dir.Routes(), append([]byte("# the operator's own words\n"), table.Render()...))
	l.write(l.dir.Pipelock(), append([]byte("# and these\n"), yaml...))
}

// start starts the bundle, or starts it again.
func (l *lab) start() {
	l.t.Helper()
	l.cmd, l.exited = exec.Command(sidecars), make(chan struct{})
	l.cmd.Env, l.cmd.Stderr = l.env, &l.log
	if err := l.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	cmd, exited := l.cmd, l.exited
	go func() {
		cmd.Wait()
		close(exited)
	}()
	l.t.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
		if l.t.Failed() {
			l.t.Logf("log of the bundle:\n%s", l.log.String())
		}
	})
	l.eventually("the bundle is ready", func() bool { return l.health().Ready })
}

func (l *lab) kill() {
	l.t.Helper()
	if err := l.cmd.Process.Kill(); err != nil {
		l.t.Fatal(err)
	}
	<-l.exited
}

func (l *lab) health() health.Report {
	report, _, err := health.Probe(context.Background(), "unix:"+l.run("health.sock"))
	if err != nil {
		return health.Report{}
	}
	return report
}

func (l *lab) eventually(what string, done func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("never: %s", what)
		}
	}
}

func (l *lab) bottle() *bottle { return &bottle{dir: l.dir, pid: l.cmd.Process.Pid} }

func (l *lab) operator() *control.Operator { return l.operatorOf(l.bottle()) }

func (l *lab) operatorOf(b *bottle) *control.Operator {
	return control.For(b, control.Options{Home: l.home, Slug: slug, Name: "op"})
}

// agent is an HTTP client that knows only the proxy.
func (l *lab) agent() *http.Client {
	client := &http.Client{Transport: &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy"}),
		TLSClientConfig: &tls.Config{RootCAs: l.agentCA.Pool()},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", l.run("egress.sock"))
		},
	}}
	l.t.Cleanup(client.CloseIdleConnections)
	return client
}

func (l *lab) url(host, path string) string {
	return "https://" + net.JoinHostPort(host, strconv.Itoa(int(l.port))) + path
}

// get returns what a request comes to: "hello" from the origin, the rule of a
// refusal, or what went wrong.
func (l *lab) get(client *http.Client, host, path string) string {
	response, err := client.Get(l.url(host, path))
	if err != nil {
		if _, rule, ok := strings.Cut(err.Error(), "Forbidden"); ok {
			return "refused" + rule
		}
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	if rule := response.Header.Get("X-Claude-Bottle-Block"); rule != "" {
		return rule
	}
	return string(body)
}

// startOrigin serves a greeting, an endless event stream and an echo.
func (l *lab) startOrigin() {
	l.t.Helper()
	ca := newCA(l.t, "origin")
	leaf, err := ca.TLS("api.test", "stream.test", "new.test", "other.test")
	if err != nil {
		l.t.Fatal(err)
	}
	l.write(filepath.Join(string(l.home), "origin.pem"), ca.CertPEM())
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for n := 0; r.Context().Err() == nil; n++ {
			fmt.Fprintf(w, "data: %d\n\n", n)
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		for {
			kind, message, err := conn.Read(r.Context())
			if err != nil || conn.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	})
	l.origin = httptest.NewUnstartedServer(mux)
	l.origin.TLS = &tls.Config{Certificates: []tls.Certificate{leaf}}
	l.origin.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	l.origin.StartTLS()
	l.t.Cleanup(l.origin.Close)
	l.port = uint16(l.origin.Listener.Addr().(*net.TCPAddr).Port)
}

// inForce tells the hosts that both filters run on, by their files and health.
func (l *lab) inForce() (egress, pipelock string) {
	l.t.Helper()
	report := l.health()
	for role, path := range map[string]string{"egress": l.dir.Routes(), "pipelock": l.dir.Pipelock()} {
		if got, want := report.Roles[role].ConfigSHA256, digest(l.read(path)); got != want {
			l.t.Errorf("%s runs on %s, its file is %s", role, got, want)
		}
	}
	table, err := routes.Parse([]byte(l.read(l.dir.Routes())))
	if err != nil {
		l.t.Fatal(err)
	}
	hosts, err := config.Hosts([]byte(l.read(l.dir.Pipelock())))
	if err != nil {
		l.t.Fatal(err)
	}
	return strings.Join(table.Hosts(), " "), strings.Join(hosts, " ")
}

// wantHosts expects these hosts in force everywhere, after the lab's own.
func (l *lab) wantHosts(more ...string) {
	l.t.Helper()
	want := strings.Join(append([]string{"api.test", "stream.test"}, more...), " ")
	if egress, pipelock := l.inForce(); egress != want || pipelock != want {
		l.t.Errorf("in force: egress %q, pipelock %q, want %q", egress, pipelock, want)
	}
}
