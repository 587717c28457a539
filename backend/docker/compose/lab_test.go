//go:build linux

package compose_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/claude-bottle/claude-bottle/backend/docker"
	"github.com/claude-bottle/claude-bottle/backend/docker/compose"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

// The images of the tests: the bundle's is built of the present source, with
// the stand-in as its pipelock; scripts/test-deps makes the agent's.
const (
	testImage  = "claude-bottle-sidecars:test-compose"
	agentImage = "claude-bottle-agent:test"
)

var standIn string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "compose-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	standIn = filepath.Join(dir, "pipelock-standin")
	build := exec.Command("go", "build", "-trimpath", "-o", standIn, "../../../internal/pipelocktest/pipelock-standin")
	image := exec.Command("../../../scripts/image")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	image.Env = append(os.Environ(), "IMAGE="+testImage, "PIPELOCK_BIN="+standIn, "VERSION=tested")
	for _, cmd := range []*exec.Cmd{build, image} {
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "the tests need a Docker engine, see scripts/test-deps: %v\n%s", err, out)
			return 1
		}
	}
	return m.Run()
}

const (
	supplied = "supplied-value-5521"
	token    = "credential-7734-of-a-route"
)

const bottleFile = `---
egress:
  routes:
    - host: first.example.com
      auth: {scheme: Bearer, token_ref: TEST_TOKEN}
env:
  SUPPLIED: ${TEST_SUPPLIED}
  LITERAL: pla$in
git-gate:
  repos:
    widgets: {url: "https://git.example.com/widgets.git", token_ref: TEST_TOKEN}
pipelock: required
---
`

// bottle is one that was laid out.
type bottle struct {
	home    state.Home
	plan    *plan.Plan
	backend *docker.Backend
	content []byte
	project *types.Project
}

// layOut renders a bottle. It is forgotten with the test.
func layOut(t *testing.T, slug string, split bool, command ...string) bottle {
	t.Helper()
	b := bottle{home: state.Home(filepath.Join(t.TempDir(), "home"))}
	workspace := filepath.Join(t.TempDir(), "workspace")
	must(t, b.home.Ensure())
	must(t, os.WriteFile(filepath.Join(b.home.Bottles(), "tested.md"), []byte(bottleFile), 0o600))
	must(t, os.Mkdir(workspace, 0o700))
	program, err := os.ReadFile(standIn)
	must(t, err)
	sum := sha256.Sum256(program)
	host := map[string]string{
		"TEST_SUPPLIED": supplied, "TEST_TOKEN": token, "HOME": string(b.home),
		"PIPELOCK_BIN": standIn, "PIPELOCK_SHA256": hex.EncodeToString(sum[:]),
	}
	b.plan, err = plan.Prepare(t.Context(), plan.Options{
		Home: b.home, Workspace: workspace, Bottle: "tested", Label: slug, Command: command,
		Lookup: func(name string) (string, bool) { value, ok := host[name]; return value, ok },
	})
	must(t, err)
	must(t, b.plan.Write(b.home))
	b.backend = docker.New(docker.Options{Home: b.home, Image: testImage, AgentImage: agentImage, Split: split}).(*docker.Backend)
	shape, err := b.backend.Shape(b.plan)
	must(t, err)
	t.Cleanup(func() { must(t, b.backend.Forget(b.plan)) })
	b.content, err = compose.Render(shape)
	must(t, err)
	b.project = load(t, b.content)
	return b
}

// load reads a file as docker compose would, with the operator's variables.
func load(t *testing.T, content []byte) *types.Project {
	t.Helper()
	project, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir: "/", Environment: types.Mapping{"TEST_TOKEN": token},
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: content}},
	})
	must(t, err)
	return project
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func exists(folder, name string) bool {
	_, err := os.Stat(filepath.Join(folder, name))
	return err == nil
}
