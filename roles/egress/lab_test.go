package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
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
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/internal/pkitest"
	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// arrived is what an origin was asked.
type arrived struct {
	proto, method, target, host string
	header, trailer             http.Header
	body                        string
}

// origin is a real server on loopback, TLS on one port and plain on another,
// that collects what arrives and answers with its handler.
type origin struct {
	mu      sync.Mutex
	log     []arrived
	handler http.HandlerFunc // nil = "hello" and the body back
	tls     *httptest.Server
	plain   *httptest.Server
}

// maxCollected bounds how much of a body is collected.
const maxCollected = 1 << 20

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if o.handler != nil {
		o.collect(r, "")
		o.handler(w, r)
		return
	}
	var b bytes.Buffer
	_, err := io.Copy(io.Discard, io.TeeReader(r.Body, limited{&b}))
	if err != nil {
		o.collect(r, "broken: "+b.String())
		return
	}
	o.collect(r, b.String())
	fmt.Fprint(w, "hello")
}

// limited keeps the first bytes written to it.
type limited struct{ *bytes.Buffer }

func (l limited) Write(p []byte) (int, error) {
	l.Buffer.Write(p[:min(len(p), maxCollected-l.Len())])
	return len(p), nil
}

func (o *origin) collect(r *http.Request, body string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log = append(o.log, arrived{r.Proto, r.Method, r.RequestURI, r.Host, r.Header.Clone(), r.Trailer.Clone(), body})
}

// all is what arrived since the last call.
func (o *origin) all() []arrived {
	o.mu.Lock()
	defer o.mu.Unlock()
	log := o.log
	o.log = nil
	return log
}

// lab is a role behind a real proxy port, before a real origin.
type lab struct {
	t      testing.TB
	role   *Role
	origin *origin
	proxy  string // host:port
	roots  *x509.CertPool
	health *health.Role
	dir    string
	stop   func() // ends Run

	mu      sync.Mutex
	names   map[string][]string // what the resolver knows
	lookups []string
}

// names of the lab that lead to the origin.
var originNames = []string{"api.test", "other.test", "a.wild.test", "b.wild.test"}

const secretToken = "tok-3f9a7c51d2e84b60"

// route is a route's YAML that may lead to the origin.
func route(host string, more ...string) string {
	return "  - host: " + host + "\n    networks: [127.0.0.0/8]\n" + indent(more)
}

func indent(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString("    " + line + "\n")
	}
	return b.String()
}

func newLab(t testing.TB, routes string, options ...func(*Config)) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir(), origin: &origin{}, names: map[string][]string{}}
	hosts := slices.Concat(originNames, benignHosts)
	for _, name := range hosts {
		l.names[name] = []string{"127.0.0.1"}
	}
	originCA, proxyCA := must(pkitest.New("origin"))(t), must(pkitest.New("proxy"))(t)
	l.roots = proxyCA.Pool()
	certificate := must(originCA.TLS(append(hosts, "127.0.0.1")...))(t)
	l.origin.tls = httptest.NewUnstartedServer(l.origin)
	l.origin.tls.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	l.origin.tls.EnableHTTP2 = true
	l.origin.tls.StartTLS()
	l.origin.plain = httptest.NewServer(l.origin)
	t.Cleanup(l.origin.tls.Close)
	t.Cleanup(l.origin.plain.Close)

	registry := health.New("egress")
	l.health = registry.Role("egress")
	scanner := must(secretscan.New([]string{"hunter2-hunter2-hunter2"}))(t)
	log := must(audit.Open(l.path("audit/bundle.jsonl"), audit.Options{Slug: "lab", Window: -1}))(t)
	t.Cleanup(func() { log.Close() })
	l.write("routes.yaml", "routes:\n"+routes)
	l.write("ca.pem", string(proxyCA.CertPEM()))
	l.write("ca-key.pem", string(must(proxyCA.KeyPEM())(t)))
	l.write("origin.pem", string(originCA.CertPEM()))
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	l.proxy = listener.Addr().String()
	config := Config{
		Listeners:      []net.Listener{listener},
		RoutesPath:     l.path("routes.yaml"),
		CACertPath:     l.path("ca.pem"),
		CAKeyPath:      l.path("ca-key.pem"),
		UpstreamCAPath: l.path("origin.pem"),
		GrantsPath:     l.path("grants.json"),
		Tokens:         map[string]string{"EGRESS_TOKEN_1": secretToken},
		Scanner:        scanner,
		Audit:          log,
		Health:         l.health,
		Log:            slog.New(slog.DiscardHandler),
	}
	for _, option := range options {
		option(&config)
	}
	l.role = must(New(config))(t)
	l.role.lookup, l.role.dial = l.lookup, l.dial
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.role.Run(ctx) }()
	l.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(l.stop)
	for l.health.Report().State != health.Ready {
		runtime.Gosched()
	}
	return l
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

func (l *lab) write(name, content string) {
	l.t.Helper()
	if err := os.WriteFile(l.path(name), []byte(content), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// lookup is the lab's resolver.
func (l *lab) lookup(_ context.Context, host string) ([]netip.Addr, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := strings.TrimSuffix(host, ".")
	l.lookups = append(l.lookups, name)
	texts, ok := l.names[name]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var ips []netip.Addr
	for _, text := range texts {
		ips = append(ips, netip.MustParseAddr(text))
	}
	return ips, nil
}

// asked is the names that were looked up since the last call.
func (l *lab) asked() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	asked := l.lookups
	l.lookups = nil
	return asked
}

// dial leads ports 443 and 80 of loopback to the origin's.
func (l *lab) dial(ctx context.Context, network, address string) (net.Conn, error) {
	switch address {
	case "127.0.0.1:443", "127.0.0.1:8443":
		address = l.origin.tls.Listener.Addr().String()
	case "127.0.0.1:80":
		address = l.origin.plain.Listener.Addr().String()
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// client is an agent that keeps to the proxy; h2 lets it speak HTTP/2.
func (l *lab) client(h2 bool) *http.Client {
	transport := &http.Transport{
		Proxy:              http.ProxyURL(&url.URL{Scheme: "http", Host: l.proxy}),
		TLSClientConfig:    &tls.Config{RootCAs: l.roots},
		DisableCompression: true,
		Protocols:          new(http.Protocols),
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, r *http.Response) error {
			if r.StatusCode != http.StatusOK {
				body, _ := io.ReadAll(r.Body)
				return &connectRefused{r.StatusCode, r.Header.Get(policy.BlockHeader), string(body)}
			}
			return nil
		},
	}
	transport.Protocols.SetHTTP1(true)
	transport.Protocols.SetHTTP2(h2)
	l.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// connectRefused is the answer to a CONNECT.
type connectRefused struct {
	status     int
	rule, body string
}

func (c *connectRefused) Error() string { return fmt.Sprintf("CONNECT: %d %s", c.status, c.body) }

// answer is a response read whole.
type answer struct {
	status          int
	rule            string
	header, trailer http.Header
	body            string
}

// do sends a request and reads the answer, also when CONNECT was refused.
func (l *lab) do(client *http.Client, r *http.Request) (answer, error) {
	response, err := client.Do(r)
	if err != nil {
		var refused *connectRefused
		if asError(err, &refused) {
			return answer{status: refused.status, rule: refused.rule, body: refused.body}, nil
		}
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header.Get(policy.BlockHeader), response.Header, response.Trailer, string(body)}, err
}

// ask is do for a simple request; options change it before it is sent.
func (l *lab) ask(method, url, body string, options ...func(*http.Request)) answer {
	l.t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, option := range options {
		option(r)
	}
	a, err := l.do(l.client(false), r)
	if err != nil {
		l.t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header[name] = []string{value} }
}

// wantBlock asserts a refusal under a rule, of which the origin knows nothing.
func (l *lab) wantBlock(name string, a answer, rule policy.Rule) {
	l.t.Helper()
	var body struct{ Error, Role, Rule, Reason, Remedy string }
	if a.status != http.StatusForbidden || a.rule != string(rule) {
		l.t.Errorf("%s: got %d %q %s, want 403 %q", name, a.status, a.rule, a.body, rule)
	} else if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.Error != "blocked" || body.Role != "egress" || body.Rule != string(rule) || body.Reason == "" || body.Remedy == "" {
		l.t.Errorf("%s: the body does not explain: %s", name, a.body)
	}
	if got := l.origin.all(); len(got) > 0 {
		l.t.Errorf("%s: the origin was asked %q", name, got[0].target)
	}
}

// wantThrough asserts that exactly one request arrived and returns it.
func (l *lab) wantThrough(name string, a answer) arrived {
	l.t.Helper()
	got := l.origin.all()
	if a.status != http.StatusOK || len(got) != 1 {
		l.t.Errorf("%s: got %d %s, the origin %d requests; want 200 and one", name, a.status, a.body, len(got))
		return arrived{}
	}
	return got[0]
}

// verdicts is the audit log's lines that match all texts.
func (l *lab) verdicts(texts ...string) (lines []string) {
	l.t.Helper()
	b, err := os.ReadFile(l.path("audit/bundle.jsonl"))
	if err != nil {
		l.t.Fatal(err)
	}
next:
	for line := range strings.Lines(string(b)) {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue next
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// wantVerdicts waits for the records of what ended a moment ago.
func (l *lab) wantVerdicts(n int, texts ...string) {
	l.t.Helper()
	for end := time.Now().Add(patience); len(l.verdicts(texts...)) != n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			l.t.Errorf("the audit log has %d lines with %q, want %d", len(l.verdicts(texts...)), texts, n)
			return
		}
	}
}

func dialProxy(l *lab) net.Conn {
	l.t.Helper()
	conn := must(net.Dial("tcp", l.proxy))(l.t)
	l.t.Cleanup(func() { conn.Close() })
	return conn
}
