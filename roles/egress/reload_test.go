package egress

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/policy"
)

func (l *lab) reload(routes string) error {
	l.t.Helper()
	l.write("routes.yaml", "routes:\n"+routes)
	return l.role.Reload()
}

func TestReload(t *testing.T) {
	l := newLab(t, route("api.test"))
	before := l.health.Report()
	if before.Generation != 1 || before.State != health.Ready || len(before.ConfigSHA256) != 64 {
		t.Fatalf("%+v", before)
	}
	l.wantBlock("before", l.ask("GET", "https://other.test/", ""), policy.NoRoute)
	for name, broken := range map[string]string{
		"no YAML":     "  - [",
		"unknown key": route("other.test", "pots: [443]"),
		"bad host":    route("-"),
	} {
		if err := l.reload(broken); err == nil || !strings.Contains(err.Error(), "routes.yaml") {
			t.Errorf("%s: %v", name, err)
		}
		after := l.health.Report()
		if after.Generation != 1 || after.ConfigSHA256 != before.ConfigSHA256 || after.LastError == "" || after.State != health.Ready {
			t.Errorf("%s: %+v", name, after)
		}
		l.wantThrough("the old table", l.ask("GET", "https://api.test/", ""))
	}
	if err := l.reload(route("other.test")); err != nil {
		t.Fatal(err)
	}
	after := l.health.Report()
	if after.Generation != 2 || after.ConfigSHA256 == before.ConfigSHA256 || after.LastError != "" {
		t.Errorf("%+v", after)
	}
	l.wantThrough("added", l.ask("GET", "https://other.test/", ""))
	l.wantBlock("removed", l.ask("GET", "https://api.test/", ""), policy.NoRoute)
	if a := l.ask("GET", "http://_egress.local/allowlist", ""); !strings.Contains(a.body, "other.test") || !strings.Contains(a.body, `"generation":2`) || strings.Contains(a.body, "api.test") {
		t.Errorf("the list: %s", a.body)
	}
	if a := l.ask("GET", "http://_egress.local/", ""); a.status != http.StatusNotFound {
		t.Errorf("another page: %d", a.status)
	}
}

// TestReloadsAreRecorded, and routes that could not be recorded are in force
// but let nothing through.
func TestReloadsAreRecorded(t *testing.T) {
	l := newLab(t, route("api.test")+route("other.test"))
	first := l.health.Report().ConfigSHA256
	l.wantVerdicts(1, `"action":"change","decision":"allow"`, `"what":"routes"`, `"generation":1`, first)
	if l.reload("  - [") == nil {
		t.Fatal("a broken file was taken")
	}
	l.wantVerdicts(1, `"action":"change","decision":"refused"`, `"generation":1`, first, `"error":"egress: routes: `)
	if err := l.reload(route("api.test") + route("a.wild.test")); err != nil {
		t.Fatal(err)
	}
	l.wantVerdicts(1, `"action":"change","decision":"allow"`, `"generation":2`, l.health.Report().ConfigSHA256)
	l.wantVerdicts(3, `"action":"change"`)

	conn := l.tunnel("api.test")
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	l.role.Audit.Close()
	if err := l.reload(route("other.test")); err != nil {
		t.Fatal(err)
	}
	if report := l.health.Report(); report.Generation != 3 {
		t.Errorf("%+v", report)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadAll(conn); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("what the new routes do not allow stays open")
	}
	for _, host := range []string{"api.test", "other.test"} {
		if a := l.ask("GET", "https://"+host+"/", ""); a.status != http.StatusServiceUnavailable || len(l.origin.all()) > 0 {
			t.Errorf("%s: %d %s", host, a.status, a.body)
		}
	}
	again := must(audit.Open(l.path("audit/bundle.jsonl"), audit.Options{Slug: "lab", Window: -1}))(t)
	t.Cleanup(func() { again.Close() })
	l.role.Audit = again
	l.wantThrough("the log takes records again", l.ask("GET", "https://other.test/", ""))
	l.wantVerdicts(1, `"action":"change","decision":"allow"`, `"generation":3`, l.health.Report().ConfigSHA256)
}

// events opens a stream that the origin keeps open.
func (l *lab) events(host string, h2 bool) *bufio.Reader {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	l.t.Cleanup(cancel)
	r, _ := http.NewRequestWithContext(ctx, "GET", "https://"+host+"/events", nil)
	response, err := l.client(h2).Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { response.Body.Close() })
	return bufio.NewReader(response.Body)
}

// TestReloadCutsWhatIsNoLongerAllowed and nothing else.
func TestReloadCutsWhatIsNoLongerAllowed(t *testing.T) {
	l := newLab(t, route("api.test", "websocket: true", "paths: [/events]")+route("other.test", "websocket: true"))
	ticks := map[string]chan bool{}
	for _, stream := range []string{"api.test h1", "api.test h2", "other.test h1", "other.test h2"} {
		ticks[stream] = make(chan bool)
	}
	l.origin.handler = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			c, _ := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
			for kind, m, err := c.Read(r.Context()); err == nil; kind, m, err = c.Read(r.Context()) {
				c.Write(r.Context(), kind, m)
			}
			return
		}
		for {
			fmt.Fprintln(w, "event")
			w.(http.Flusher).Flush()
			select {
			case <-ticks[fmt.Sprintf("%s h%d", r.Host, r.ProtoMajor)]:
			case <-r.Context().Done():
				return
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	streams := map[string]*bufio.Reader{}
	for _, host := range []string{"api.test", "other.test"} {
		streams[host+" h1"], streams[host+" h2"] = l.events(host, false), l.events(host, true)
	}
	sockets := map[string]*websocket.Conn{}
	for _, host := range []string{"api.test", "other.test"} {
		c, _, err := l.socket("wss://" + host + "/events")
		if err != nil {
			t.Fatal(err)
		}
		sockets[host] = c
	}
	idle := l.tunnel("api.test")
	if err := idle.Handshake(); err != nil {
		t.Fatal(err)
	}
	alive := func(when string, want map[string]bool) {
		for name, r := range streams {
			if !want[strings.Fields(name)[0]] {
				continue
			}
			if line, err := r.ReadString('\n'); line != "event\n" {
				t.Errorf("%s, %s: %q %v", when, name, line, err)
			}
		}
		for host, c := range sockets {
			if !want[host] {
				continue
			}
			c.Write(ctx, websocket.MessageText, []byte("hello"))
			if _, m, err := c.Read(ctx); string(m) != "hello" {
				t.Errorf("%s, socket of %s: %q %v", when, host, m, err)
			}
		}
	}
	both := map[string]bool{"api.test": true, "other.test": true}
	alive("at first", both)
	if err := l.reload(route("api.test", "websocket: true", "paths: [/events]", "methods: [GET]") + route("other.test", "websocket: true") + route("a.wild.test")); err != nil {
		t.Fatal(err)
	}
	for _, tick := range ticks {
		tick <- true
	}
	alive("after a change that allows all", both)
	if err := l.reload(route("api.test", "paths: [/other]") + route("other.test", "websocket: true")); err != nil {
		t.Fatal(err)
	}
	for _, proto := range []string{" h1", " h2"} {
		if b, err := io.ReadAll(streams["api.test"+proto]); err == nil {
			t.Errorf("api.test%s ended cleanly after %q", proto, b)
		}
	}
	if _, _, err := sockets["api.test"].Read(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("the socket was not cut: %v", err)
	}
	ticks["other.test h1"] <- true
	ticks["other.test h2"] <- true
	alive("after the other was cut", map[string]bool{"other.test": true})
	if _, err := io.WriteString(idle, "GET /other HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n"); err != nil {
		t.Errorf("a tunnel to a host that stays allowed was cut: %v", err)
	}
	if err := l.reload(route("other.test", "websocket: true")); err != nil {
		t.Fatal(err)
	}
	_ = idle.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadAll(idle); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("a tunnel to a host that is no longer allowed stays open")
	}
	l.wantVerdicts(3, `"decision":"cut"`, "no longer allow this", `"path":"/events"`)
}

// TestNetworksOfAnOpenStream: a range that a route loses ends what was dialled
// in it.
func TestNetworksOfAnOpenStream(t *testing.T) {
	l := newLab(t, route("api.test"))
	l.origin.handler = func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "event")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	stream := l.events("api.test", false)
	if line, _ := stream.ReadString('\n'); line != "event\n" {
		t.Fatal(line)
	}
	if err := l.reload("  - host: api.test\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(stream); err == nil || strings.Contains(err.Error(), "deadline") {
		t.Errorf("the stream was not cut: %v", err)
	}
	l.origin.all()
	l.origin.handler = nil
	l.wantBlock("a new request", l.ask("GET", "https://api.test/", ""), policy.Address)
}

// TestGrantsEnd by time and by use.
func TestGrantsEnd(t *testing.T) {
	soon := time.Now().Add(5 * time.Second).UTC().Format(time.RFC3339Nano)
	l := newLab(t, route("api.test", "grant: g1", "expires: "+soon)+route("other.test", "grant: g2", "uses: 3"))
	l.origin.handler = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			fmt.Fprintln(w, "event")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	}
	stream := l.events("api.test", false)
	if line, _ := stream.ReadString('\n'); line != "event\n" {
		t.Fatal(line)
	}
	if _, err := io.ReadAll(stream); err == nil || strings.Contains(err.Error(), "deadline") {
		t.Errorf("the stream outlived its grant: %v", err)
	}
	l.origin.all()
	l.wantBlock("expired", l.ask("GET", "https://api.test/", ""), policy.GrantExpired)

	var wg sync.WaitGroup
	var mu sync.Mutex
	through, refusedUses := 0, 0
	for range 12 {
		wg.Go(func() {
			a := l.ask("GET", "https://other.test/", "")
			mu.Lock()
			defer mu.Unlock()
			if a.status == 200 {
				through++
			} else if a.rule == string(policy.GrantExpired) {
				refusedUses++
			}
		})
	}
	wg.Wait()
	if got := len(l.origin.all()); through != 3 || refusedUses != 9 || got != 3 {
		t.Errorf("%d through, %d refused, %d arrived; want 3, 9, 3", through, refusedUses, got)
	}
	// Another process reads the same count.
	again, err := New(l.role.Config)
	if err != nil {
		t.Fatal(err)
	}
	if n := again.spent("g2"); n != 3 {
		t.Errorf("after a restart %d uses are known", n)
	}
}

// TestGrantThatCannotBeCounted is not used.
func TestGrantThatCannotBeCounted(t *testing.T) {
	l := newLab(t, route("api.test", "grant: g1", "uses: 2"), func(c *Config) {
		c.GrantsPath = filepath.Join(filepath.Dir(c.GrantsPath), "missing", "grants.json")
	})
	l.wantBlock("no folder", l.ask("GET", "https://api.test/", ""), policy.GrantExpired)
	if err := os.Mkdir(l.path("missing"), 0o700); err != nil {
		t.Fatal(err)
	}
	// What was refused for its address used nothing.
	l.names["api.test"] = []string{"10.0.0.1"}
	l.wantBlock("address", l.ask("GET", "https://api.test/", ""), policy.Address)
	l.names["api.test"] = []string{"127.0.0.1"}
	l.wantThrough("control", l.ask("GET", "https://api.test/", ""))
	if n := l.role.spent("g1"); n != 1 {
		t.Errorf("%d uses counted", n)
	}
}

// TestLostRequestIsAUse: what an origin was sent is not taken back when no
// connection for a second try comes about.
func TestLostRequestIsAUse(t *testing.T) {
	l := newLab(t, route("api.test", "grant: g1", "uses: 4"))
	var down atomic.Bool
	l.role.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if down.Load() {
			return nil, errors.New("nobody there")
		}
		return l.dial(ctx, network, address)
	}
	l.origin.handler = func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/lost" {
			down.Store(true)
			panic(http.ErrAbortHandler)
		}
	}
	uses := 0
	for _, h2 := range []bool{false, true} {
		down.Store(false)
		client := l.client(h2)
		for _, path := range []string{"/", "/lost"} {
			a, err := l.do(client, must(http.NewRequest("GET", "https://api.test"+path, nil))(t))
			if want := map[string]int{"/": http.StatusOK, "/lost": http.StatusBadGateway}[path]; err != nil || a.status != want {
				t.Errorf("%s: %d %s %v, want %d", path, a.status, a.body, err, want)
			}
			if uses++; l.role.spent("g1") != uses {
				t.Errorf("HTTP/2 %v: %s left %d uses counted, want %d", h2, path, l.role.spent("g1"), uses)
			}
		}
	}
}

// TestRunAgain: a role can run again after it died.
func TestRunAgain(t *testing.T) {
	l := newLab(t, route("api.test"))
	l.wantThrough("first run", l.ask("GET", "https://api.test/", ""))
	l.stop()
	l.role.Listeners[0] = must(net.Listen("tcp", l.proxy))(t)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- l.role.Run(ctx) }()
	l.wantThrough("second run", l.ask("GET", "https://api.test/", ""))
	cancel()
	if err := within(t, done, "the end of Run"); err != nil {
		t.Error(err)
	}
	if state := l.health.Report().State; state != health.Stopped {
		t.Errorf("state %s", state)
	}
}

// TestBadBeginning: what New refuses.
func TestBadBeginning(t *testing.T) {
	l := newLab(t, route("api.test"))
	for name, change := range map[string]func(*Config){
		"no authority":         func(c *Config) { c.CACertPath = l.path("missing.pem") },
		"no key":               func(c *Config) { c.CAKeyPath = l.path("missing.pem") },
		"key of another":       func(c *Config) { c.CACertPath = l.path("origin.pem") },
		"unreadable roots":     func(c *Config) { c.UpstreamCAPath = l.path("routes.yaml") },
		"no routes":            func(c *Config) { c.RoutesPath = l.path("missing.yaml") },
		"broken routes":        func(c *Config) { c.RoutesPath = l.path("ca.pem") },
		"broken spent grants":  func(c *Config) { c.GrantsPath = l.path("ca.pem") },
		"pipelock's authority": func(c *Config) { c.PipelockCAPath = l.path("missing.pem") },
	} {
		c := l.role.Config
		change(&c)
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), "egress: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(l.path("missing.pem")); err == nil {
		t.Error("an authority was made")
	}
	if _, err := New(l.role.Config); err != nil {
		t.Errorf("control: %v", err)
	}
}
