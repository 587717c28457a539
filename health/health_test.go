package health_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/claude-bottle/claude-bottle/health"
	"github.com/prometheus/client_golang/prometheus"
)

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestReadyOnlyWhenEveryRoleIs(t *testing.T) {
	registry := health.New("egress", "pipelock")
	server := httptest.NewServer(registry.Handler())
	defer server.Close()
	expect := func(when string, want int) {
		t.Helper()
		if status, body := get(t, server.URL+"/healthz"); status != want {
			t.Errorf("%s: status %d, want %d: %s", when, status, want, body)
		}
	}
	expect("both starting", http.StatusServiceUnavailable)
	registry.Role("egress").Set(health.Ready)
	expect("one starting", http.StatusServiceUnavailable)
	registry.Role("pipelock").Set(health.Ready)
	expect("both ready", http.StatusOK)
	registry.Role("unselected").Set(health.Failed)
	expect("an unselected role failed", http.StatusOK)
	registry.Role("pipelock").Refused(errors.New("bad file"))
	expect("a reload was refused", http.StatusOK)
	for _, state := range []health.State{health.Failed, health.Stopped, health.Starting} {
		registry.Role("pipelock").Set(state)
		expect("pipelock "+string(state), http.StatusServiceUnavailable)
	}
}

func TestNoRoleIsReady(t *testing.T) {
	server := httptest.NewServer(health.New().Handler())
	defer server.Close()
	status, body := get(t, server.URL+"/healthz")
	if status != http.StatusOK || body != `{"ready":true,"roles":{}}`+"\n" {
		t.Errorf("got %d %q", status, body)
	}
}

func TestReportTellsWhatIsInForce(t *testing.T) {
	registry := health.New("egress", "pipelock")
	egress := registry.Role("egress")
	egress.Set(health.Ready)
	egress.InForce("aa")
	egress.Refused(errors.New("line 3: unknown key"))
	report := registry.Report().Roles["egress"]
	if report.Generation != 1 || report.ConfigSHA256 != "aa" || report.LastError != "line 3: unknown key" {
		t.Errorf("after a refused reload: %+v", report)
	}
	egress.Refused(errors.New("line 3: unknown key"))
	if again := registry.Report().Roles["egress"]; again == report {
		t.Errorf("a second refusal in the same words cannot be told from the first: %+v", again)
	}
	egress.InForce("bb")
	egress.Crashed(errors.New("panic"))
	egress.SetPID(42)
	report = registry.Report().Roles["egress"]
	if report.Generation != 2 || report.ConfigSHA256 != "bb" || report.Restarts != 1 || report.LastError != "panic" || report.PID != 42 {
		t.Errorf("after a crash: %+v", report)
	}
	if egress.Generation() != 2 {
		t.Errorf("generation %d", egress.Generation())
	}
	var raw struct {
		Roles map[string]map[string]any `json:"roles"`
	}
	body, err := json.Marshal(registry.Report())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		t.Fatal(err)
	}
	if _, ok := raw.Roles["pipelock"]["pid"]; ok {
		t.Error("a role without a child has a pid")
	}
	for _, key := range []string{"state", "since", "restarts", "generation", "config_sha256", "last_error", "pid"} {
		if _, ok := raw.Roles["egress"][key]; !ok {
			t.Errorf("no %q in %s", key, body)
		}
	}
}

func TestSinceChangesWithTheStateOnly(t *testing.T) {
	role := health.New("egress").Role("egress")
	started := role.Report().Since
	role.Set(health.Starting)
	if !role.Report().Since.Equal(started) {
		t.Error("the same state again moved since")
	}
	role.Set(health.Ready)
	if !role.Report().Since.After(started) {
		t.Error("a new state did not move since")
	}
}

func TestMetrics(t *testing.T) {
	registry := health.New("egress")
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "egress_requests_total", Help: "Requests."})
	registry.Prometheus().MustRegister(counter)
	counter.Add(7)
	registry.Role("egress").Set(health.Ready)
	registry.Role("egress").Crashed(errors.New("x"))
	server := httptest.NewServer(registry.Handler())
	defer server.Close()
	status, body := get(t, server.URL+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	for _, line := range []string{
		"claude_bottle_ready 1",
		`claude_bottle_role_state{role="egress",state="ready"} 1`,
		`claude_bottle_role_state{role="egress",state="failed"} 0`,
		`claude_bottle_role_restarts_total{role="egress"} 1`,
		"egress_requests_total 7",
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no %q in\n%s", line, body)
		}
	}
}

func TestProbe(t *testing.T) {
	registry := health.New("egress")
	socket := filepath.Join(t.TempDir(), "health.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: registry.Handler()}}
	server.Start()
	defer server.Close()
	tcp := httptest.NewServer(registry.Handler())
	defer tcp.Close()
	for _, addr := range []string{"unix:" + socket, tcp.Listener.Addr().String()} {
		registry.Role("egress").Set(health.Starting)
		report, body, err := health.Probe(context.Background(), addr)
		if err != nil || report.Ready || report.Roles["egress"].State != health.Starting || len(body) == 0 {
			t.Errorf("%s: starting: %+v %s %v", addr, report, body, err)
		}
		registry.Role("egress").Set(health.Ready)
		if report, _, err = health.Probe(context.Background(), addr); err != nil || !report.Ready {
			t.Errorf("%s: ready: %+v %v", addr, report, err)
		}
	}
	if _, _, err := health.Probe(context.Background(), "unix:"+socket+".none"); err == nil {
		t.Error("no bundle there, but no error")
	}
}

func TestProbeDistrustsTheAnswer(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(zeros{}, 8<<20))
		},
		"not JSON":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") },
		"other status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
	} {
		server := httptest.NewServer(handler)
		if report, _, err := health.Probe(context.Background(), server.Listener.Addr().String()); err == nil || report.Ready {
			t.Errorf("%s: %+v %v", name, report, err)
		}
		server.Close()
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestNilAndConcurrentUse(t *testing.T) {
	var none *health.Role
	none.Set(health.Ready)
	none.Crashed(nil)
	none.InForce("")
	none.Refused(nil)
	none.SetPID(1)
	if none.Generation() != 0 {
		t.Error("a nil role has a generation")
	}
	registry := health.New("egress")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				registry.Role("egress").InForce("x")
				registry.Report()
			}
		})
	}
	wg.Wait()
	if got := registry.Role("egress").Generation(); got != 800 {
		t.Errorf("generation %d, want 800", got)
	}
}
