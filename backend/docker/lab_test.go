//go:build linux

package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

// The images of the tests. The bundle's is built of the present source, with
// the stand-in as its pipelock; scripts/test-deps makes the agent's.
const (
	testImage  = "claude-bottle-sidecars:test"
	agentImage = "claude-bottle-agent:test"
)

// programs is where the real bottle is, and standIn is the firewall's.
var programs, standIn string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "docker-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	programs, standIn = dir, filepath.Join(dir, "pipelock-standin")
	for name, pkg := range map[string]string{
		"pipelock-standin": "../../internal/pipelocktest/pipelock-standin", "bottle": "../../cmd/bottle", "sidecars": "../../cmd/sidecars",
	} {
		build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, name), pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", name, err, out)
			return 1
		}
	}
	image := exec.Command("../../scripts/image")
	image.Env = append(os.Environ(), "IMAGE="+testImage, "PIPELOCK_BIN="+standIn, "VERSION=tested")
	if out, err := image.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "the tests need a Docker engine, see scripts/test-deps: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// newHome is a state home of a test's own.
func newHome(t *testing.T) state.Home {
	t.Helper()
	home := state.Home(filepath.Join(t.TempDir(), "home"))
	if err := home.Ensure(); err != nil {
		t.Fatal(err)
	}
	return home
}

func newBackend(home state.Home) *Backend {
	return New(Options{Home: home, Image: testImage, AgentImage: agentImage, Split: os.Getenv(splitVariable) != ""}).(*Backend)
}

// splitVariable makes the tests that go for both shapes run in the split one.
const splitVariable = "TEST_SPLIT"

// bothShapes runs a test with the bundle in one container and divided.
func bothShapes(t *testing.T, test func(t *testing.T)) {
	t.Run("bundle", test)
	t.Run("split", func(t *testing.T) {
		t.Setenv(splitVariable, "1")
		test(t)
	})
}

const plainBottle = `---
egress:
  routes:
    - host: first.example.com
env:
  SUPPLIED: ${TEST_SUPPLIED}
  LITERAL: plain
pipelock: "off"
---
`

// bottleFile writes a bottle file.
func bottleFile(t *testing.T, home state.Home, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(home.Bottles(), "tested.md"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

const suppliedValue = "supplied-value-5521"

// newPlan prepares and writes a plan of the bottle file, with a workspace of its
// own.
func newPlan(t *testing.T, home state.Home, slug string, command ...string) *plan.Plan {
	t.Helper()
	if _, err := os.Stat(filepath.Join(home.Bottles(), "tested.md")); err != nil {
		bottleFile(t, home, plainBottle)
	}
	workspace := filepath.Join(t.TempDir(), "workspace")
	if err := os.Mkdir(workspace, 0o700); err != nil {
		t.Fatal(err)
	}
	host := map[string]string{
		"TEST_SUPPLIED": suppliedValue, "TEST_TOKEN": "credential-7734-of-a-route", "HOME": string(home),
		"PIPELOCK_BIN": "/nonexistent", // the image has its own
	}
	p, err := plan.Prepare(t.Context(), plan.Options{
		Home: home, Workspace: workspace, Bottle: "tested", Label: slug, Command: command,
		Lookup: func(name string) (string, bool) { value, ok := host[name]; return value, ok },
		OwnPipelock: func(string) (string, bool, error) {
			digest, err := newBackend(home).Pipelock(t.Context())
			return digest, true, err
		},
	})
	if err == nil {
		err = p.Write(home)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func digest(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("sha256sum", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))[0]
}

// begin starts a bottle that is ended with the test.
func begin(t *testing.T, home state.Home, p *plan.Plan, s backend.Stdio) backend.Bottle {
	t.Helper()
	bottle, err := newBackend(home).Start(t.Context(), p, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		bottle.Down(ctx)
		nothingLeft(t, home, p.Slug)
	})
	return bottle
}

// execute runs a script in a running bottle.
func execute(t *testing.T, bottle backend.Bottle, script string) (out string, code int) {
	t.Helper()
	var output buffer
	code, err := bottle.Exec(t.Context(), []string{"sh", "-c", script}, backend.Stdio{Out: &output, Err: &output})
	if err != nil {
		t.Fatal(err)
	}
	return output.String(), code
}

// nothingLeft makes sure that a bottle left nothing on the engine or outside.
func nothingLeft(t *testing.T, home state.Home, slug string) {
	t.Helper()
	api := engine(t)
	found, err := newBackend(home).find(context.Background(), api, slug)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Errorf("left on the engine: %d containers, networks %v", len(f.containers), f.networks)
	}
	dir := home.Dir(slug)
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), string(dir)+"/") {
		t.Errorf("left mounted (%v): %s", err, dir)
	}
	for _, path := range []string{secretsPath(dir), filepath.Join(dir.Run(), recordFile)} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("left: %s", path)
		}
	}
}

// engine is a client for the test's own questions.
func engine(t *testing.T) *client.Client {
	t.Helper()
	api, err := connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	return api
}

// docker runs the engine's own client.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// inspect is what the engine shows of a container, as text and by name.
func inspect(t *testing.T, name string) (text string, shown map[string]any) {
	t.Helper()
	text = docker(t, "inspect", name)
	var all []map[string]any
	if err := json.Unmarshal([]byte(text), &all); err != nil || len(all) != 1 {
		t.Fatal(err, len(all))
	}
	return text, all[0]
}

// dig finds a value below keys.
func dig(shown map[string]any, keys ...string) any {
	var value any = shown
	for _, key := range keys {
		inner, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = inner[key]
	}
	return value
}

func words(value any) []string {
	var all []string
	list, _ := value.([]any)
	for _, item := range list {
		all = append(all, fmt.Sprint(item))
	}
	slices.Sort(all)
	return all
}

// eventually waits for a condition that must come true soon.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(20 * time.Millisecond) {
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
