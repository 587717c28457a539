//go:build linux

package namespace_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
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

// The test binary also plays the bundle, the agent, and `bottle up`.
func TestMain(m *testing.M) {
	namespace.Main()
	switch {
	case os.Getenv("TEST_BUNDLE") != "":
		playBundle(os.Getenv("TEST_BUNDLE"))
	case os.Getenv("TEST_AGENT") != "":
		playAgent(os.Getenv("TEST_AGENT"))
	case os.Getenv("TEST_AVAILABLE") != "":
		playForbidding()
	case os.Getenv("TEST_PEER") != "":
		playPeer(os.Getenv("TEST_PEER"))
	case os.Getenv("TEST_UP") != "":
		playUp(os.Getenv("TEST_UP"))
	default:
		// With the race detector, each program would wait a second at its end.
		os.Setenv("GORACE", "atexit_sleep_ms=0")
		os.Exit(m.Run())
	}
}

// playBundle is a bundle whose roles answer with their name and process id, or
// one that is broken or treacherous.
func playBundle(kind string) {
	switch kind {
	case "broken":
		fmt.Fprintln(os.Stderr, "no CA certificate")
		os.Exit(1)
	case "leaky":
		if err := openRoute(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
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
			switch {
			case name == "health":
				json.NewEncoder(w).Encode(map[string]any{"ready": kind != "unready", "roles": map[string]any{}})
			case r.URL.Path == "/env":
				content, _ := os.ReadFile(os.Getenv("CLAUDE_BOTTLE_SECRETS"))
				fmt.Fprintf(w, "%s\n%s", content, strings.Join(os.Environ(), "\n"))
			default:
				fmt.Fprintf(w, "%s %d", name, os.Getpid())
			}
		}))
	}
	select {}
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// newHome is a state home of a test's own.
func newHome(t *testing.T) state.Home {
	t.Helper()
	home := state.Home(t.TempDir())
	if err := home.Ensure(); err != nil {
		t.Fatal(err)
	}
	return home
}

func newBackend(t *testing.T, home state.Home, bundle string) backend.Backend {
	t.Helper()
	return namespace.New(namespace.Options{Home: home, Sidecars: self(t), BundleEnv: []string{"TEST_BUNDLE=" + bundle}})
}

// newPlan is a plan for a command in a bottle and a workspace of its own. The
// workspace holds the test binary as "agent".
func newPlan(t *testing.T, home state.Home, slug string, command ...string) *plan.Plan {
	t.Helper()
	dir, err := home.Create(slug)
	if err != nil {
		t.Fatal(err)
	}
	workspace := filepath.Join(t.TempDir(), "workspace")
	if err := os.Mkdir(workspace, 0o755); err != nil {
		t.Fatal(err)
	}
	return &plan.Plan{
		Slug: slug, Agent: "test", State: dir, Workspace: workspace, Command: command,
		Daemons:  []string{"egress", "supervise"},
		AgentEnv: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/home/agent"},
		Limits:   plan.Limits{Pids: 200, MemoryBytes: 1 << 30},
	}
}

func sh(script string) []string { return []string{"sh", "-c", script} }

// addAgent puts the test binary into the workspace, to be run with TEST_AGENT.
func addAgent(t *testing.T, p *plan.Plan) {
	t.Helper()
	content, err := os.ReadFile(self(t))
	if err == nil {
		err = os.WriteFile(filepath.Join(p.Workspace, "agent"), content, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// start starts a bottle that is ended with the test.
func start(t *testing.T, home state.Home, p *plan.Plan, s backend.Stdio) backend.Bottle {
	t.Helper()
	bottle, err := newBackend(t, home, "good").Start(t.Context(), p, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bottle.Down(context.Background()) })
	return bottle
}

// finish runs a plan to its end.
func finish(t *testing.T, home state.Home, p *plan.Plan, in io.Reader) (out string, code int) {
	t.Helper()
	var output buffer
	bottle := start(t, home, p, backend.Stdio{In: in, Out: &output, Err: &output})
	code, err := bottle.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return output.String(), code
}

// run runs a script as the agent of a new bottle to its end.
func run(t *testing.T, script string) (out string, code int) {
	t.Helper()
	home := newHome(t)
	return finish(t, home, newPlan(t, home, "test", sh(script)...), nil)
}

// eventually waits for a condition that must come true soon.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came true that %s", what)
		}
	}
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
