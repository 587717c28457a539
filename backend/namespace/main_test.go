//go:build linux

package namespace_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/backend/namespace"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

func TestMain(m *testing.M) {
	namespace.Main()
	if os.Getenv("TEST_BUNDLE") != "" {
		runBundle()
		return
	}
	os.Exit(m.Run())
}

// runBundle is a bundle whose roles answer with their name and the path they
// were asked for.
func runBundle() {
	if os.Getenv("TEST_BUNDLE") == "broken" {
		fmt.Fprintln(os.Stderr, "no CA certificate")
		os.Exit(1)
	}
	count, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	for i, name := range strings.Split(os.Getenv("LISTEN_FDNAMES"), ":") {
		if i >= count {
			break
		}
		listener, err := net.FileListener(os.NewFile(uintptr(3+i), name))
		if err != nil {
			fmt.Fprintln(os.Stderr, name, err)
			os.Exit(1)
		}
		go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name == "health" {
				json.NewEncoder(w).Encode(map[string]any{"ready": true, "roles": map[string]any{}})
				return
			}
			if r.URL.Path == "/secrets" {
				content, _ := os.ReadFile(os.Getenv("CLAUDE_BOTTLE_SECRETS"))
				fmt.Fprintf(w, "%s %s", os.Getenv("EGRESS_TOKEN_1"), content)
				return
			}
			fmt.Fprintf(w, "%s %d", name, os.Getpid())
		}))
	}
	select {}
}

// home is a state home of a test's own.
func home(t *testing.T) state.Home {
	t.Helper()
	h := state.Home(t.TempDir())
	if err := h.Ensure(); err != nil {
		t.Fatal(err)
	}
	return h
}

func options(t *testing.T, h state.Home) namespace.Options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return namespace.Options{Home: h, Sidecars: self, BundleEnv: []string{"TEST_BUNDLE=1"}}
}

// newPlan is a plan for a shell script in a bottle of its own.
func newPlan(t *testing.T, h state.Home, slug, script string) *plan.Plan {
	t.Helper()
	dir, err := h.Create(slug)
	if err != nil {
		t.Fatal(err)
	}
	workspace := filepath.Join(t.TempDir(), "workspace")
	if err := os.Mkdir(workspace, 0o755); err != nil {
		t.Fatal(err)
	}
	return &plan.Plan{
		Slug: slug, Agent: "test", State: dir, Workspace: workspace,
		Command:  []string{"sh", "-c", script},
		Daemons:  []string{"egress", "supervise"},
		AgentEnv: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/home/agent"},
		Limits:   plan.Limits{Pids: 200, MemoryBytes: 512 << 20},
	}
}

// run runs a script as the agent of a new bottle, to its end.
func run(t *testing.T, script string) (out string, code int) {
	t.Helper()
	h := home(t)
	return runPlan(t, h, newPlan(t, h, "test", script))
}

func runPlan(t *testing.T, h state.Home, p *plan.Plan) (out string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var output buffer
	bottle, err := namespace.New(options(t, h)).Start(ctx, p, backend.Stdio{Out: &output, Err: &output}, nil)
	if err != nil {
		t.Fatal(err)
	}
	code, err = bottle.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return output.String(), code
}

// buffer is a bytes.Buffer for several writers.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func TestFirst(t *testing.T) {
	out, code := run(t, `id; pwd; ls -la / /dev /etc /workspace; cat /proc/self/status | grep -E 'Cap|NoNew|Secc'; cat /proc/self/mountinfo; curl -s http://egress:9099/; echo; ps aux; exit 7`)
	t.Logf("%d\n%s", code, out)
}
