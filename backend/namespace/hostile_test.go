//go:build linux

package namespace_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/backend/namespace"
	"github.com/claude-bottle/claude-bottle/state"
)

// A workspace through which the agent would reach its own rules is refused,
// whatever its name.
func TestWorkspaceWithRules(t *testing.T) {
	outer := t.TempDir()
	home := state.Home(filepath.Join(outer, "deep", "home"))
	if err := home.Ensure(); err != nil {
		t.Fatal(err)
	}
	p := newPlan(t, home, "rules", sh("true")...)
	alias := filepath.Join(t.TempDir(), "alias")
	if err := os.Symlink(outer, alias); err != nil {
		t.Fatal(err)
	}
	for _, workspace := range []string{outer, alias, string(home), p.State.In(), filepath.Dir(string(home)), "/"} {
		p.Workspace = workspace
		if _, err := newBackend(t, home, "good").Start(t.Context(), p, backend.Stdio{}, nil); err == nil || !strings.Contains(err.Error(), "its own rules") {
			t.Errorf("%s: %v", workspace, err)
		}
	}
	p.Workspace = filepath.Join(outer, "beside")
	if err := os.Mkdir(p.Workspace, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, code := finish(t, home, p, nil); code != 0 {
		t.Errorf("control: exit code %d", code)
	}
}

// An agent that replaces the bundle's program does not get to run it outside.
func TestBundleInWorkspace(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "inside", sh(`cp agent new; echo '#!/bin/sh
touch $0.ran' > agent; chmod 755 agent; read go; curl -s http://egress:9099/`)...)
	addAgent(t, p)
	in, agent, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var out buffer
	program := filepath.Join(p.Workspace, "agent")
	b := namespace.New(namespace.Options{Home: home, Sidecars: program, BundleEnv: []string{"TEST_BUNDLE=good"}})
	bottle, err := b.Start(t.Context(), p, backend.Stdio{In: in, Out: &out, Err: &out}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer bottle.Down(context.Background())
	eventually(t, "the program is replaced", func() bool {
		content, err := os.ReadFile(program)
		return err == nil && strings.HasPrefix(string(content), "#!/bin/sh\ntouch")
	})
	if err := bottle.Signal(t.Context(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	agent.WriteString("go\n")
	agent.Close()
	if code, err := bottle.Wait(t.Context()); code != 0 || err != nil || !strings.HasPrefix(out.String(), "egress ") {
		t.Errorf("exit code %d %v: %s", code, err, out.String())
	}
	if _, err := os.Stat(program + ".ran"); err == nil {
		t.Error("the agent's program ran outside")
	}
}

// Two bottles of one operator know nothing of each other.
func TestTwoBottles(t *testing.T) {
	home := newHome(t)
	first := newPlan(t, home, "first", sh("touch /tmp/first; TEST_AGENT=listen ./agent")...)
	addAgent(t, first)
	a := start(t, home, first, backend.Stdio{})
	second := newPlan(t, home, "second", sh("sleep 4242")...)
	addAgent(t, second)
	b := start(t, home, second, backend.Stdio{})
	script := sh("TEST_AGENT=reach ./agent; ls /tmp/first")
	reach := func(bottle backend.Bottle) string {
		var out buffer
		if _, err := bottle.Exec(t.Context(), script, backend.Stdio{Out: &out, Err: &out}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	eventually(t, "the first bottle reaches itself", func() bool { return strings.HasPrefix(reach(a), "tcp abstract /tmp/first\n") })
	if got := reach(b); strings.Contains(got, "tcp") || strings.Contains(got, "abstract") || !strings.Contains(got, "cannot access '/tmp/first'") {
		t.Errorf("the second bottle reaches the first: %q", got)
	}
}

// The end of Start's context is the bottle's.
func TestContextEnds(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "context", sh("sleep 4242")...)
	ctx, cancel := context.WithCancel(t.Context())
	bottle, err := newBackend(t, home, "good").Start(ctx, p, backend.Stdio{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if code, err := bottle.Wait(t.Context()); code != 128+int(unix.SIGTERM) || err != nil {
		t.Errorf("exit code %d %v", code, err)
	}
}

// The host's handler of crashes is never run for the agent.
func TestNoCoreDumps(t *testing.T) {
	out, _ := run(t, "ulimit -c 0; ulimit -c unlimited; grep core /proc/self/limits; grep files /proc/self/limits; ulimit -n 77; grep files /proc/self/limits")
	if got := strings.Fields(out); len(got) < 18 || got[4] != "1" || got[5] != "1" || got[16] != "77" {
		t.Errorf("limits: %q", out)
	}
}
