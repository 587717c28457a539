//go:build linux

package docker

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/state"
)

// only returns the state of the one bottle there is; "none" without one.
func only(t *testing.T, b *Backend) string {
	t.Helper()
	list, err := b.List(t.Context())
	if err != nil || len(list) > 1 {
		t.Fatal(list, err)
	}
	if len(list) == 0 {
		return "none"
	}
	return list[0].State
}

// Another process lists a bottle, opens it, runs commands in it and ends it.
func TestAnotherProcess(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "shared", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done")
	mine := begin(t, home, p, backend.Stdio{})
	other := newBackend(home)
	list, err := other.List(t.Context())
	if err != nil || len(list) != 1 || list[0].State != "running" || list[0].Agent != p.Agent || list[0].Backend != "docker" {
		t.Fatalf("listed as %v %v", list, err)
	}
	if orphans, err := other.Orphans(t.Context()); err != nil || len(orphans) > 0 {
		t.Errorf("a live bottle's things are orphans: %v %v", orphans, err)
	}
	if err := other.Remove(t.Context(), backend.Orphan{Slug: "shared", Kind: orphanContainer, Name: agentContainer("shared")}); err == nil {
		t.Error("a live bottle's container was removed")
	}
	if _, err := other.Start(t.Context(), p, backend.Stdio{}, nil); err == nil || !strings.Contains(err.Error(), "is running already") {
		t.Errorf("started twice: %v", err)
	}
	bottle, err := other.Open(t.Context(), "shared")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(t.Context(), "absent"); err == nil {
		t.Error("opened what is not there")
	}
	if out, code := execute(t, bottle, "echo $LITERAL $SUPPLIED; exit 4"); out != "plain "+suppliedValue+"\n" || code != 4 {
		t.Errorf("exec: %q %d", out, code)
	}
	if code, err := bottle.Exec(t.Context(), []string{"no-such-command"}, backend.Stdio{}); code != 127 || err != nil {
		t.Errorf("exec of nothing: %d %v", code, err)
	}
	if _, err := bottle.Attach(t.Context(), backend.Stdio{}); err != backend.ErrNoTerminal {
		t.Errorf("attach: %v", err)
	}
	if err := bottle.Down(t.Context()); err != nil {
		t.Error(err)
	}
	if code, err := mine.Wait(t.Context()); code != 3 || err != nil {
		t.Errorf("the agent ended with %d %v", code, err)
	}
	if s := only(t, other); s != "none" {
		t.Errorf("still listed as %s", s)
	}
}

// A further command takes signals, and ends with its caller.
func TestExecSignals(t *testing.T) {
	home := newHome(t)
	bottle := begin(t, home, newPlan(t, home, "signalled", "sleep", "300"), backend.Stdio{})
	signals := make(chan os.Signal, 1)
	started := &notify{want: "ready", seen: func() { signals <- syscall.SIGTERM }}
	code, err := bottle.Exec(t.Context(), []string{"sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done"}, backend.Stdio{Out: started, Signals: signals})
	if code != 9 || err != nil {
		t.Errorf("code %d, error %v", code, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := bottle.Exec(ctx, []string{"sh", "-c", "echo ready; exec sleep 4711"}, backend.Stdio{Out: &notify{want: "ready", seen: cancel}}); err == nil {
		t.Error("no error of a caller that left")
	}
	eventually(t, "the command has ended", func() bool {
		out, _ := execute(t, bottle, "ps -eo args")
		return !strings.Contains(out, "sleep 4711")
	})
}

// notify calls seen once when it is written a word.
type notify struct {
	text strings.Builder
	want string
	seen func()
}

func (n *notify) Write(p []byte) (int, error) {
	n.text.Write(p)
	if n.seen != nil && strings.Contains(n.text.String(), n.want) {
		n.seen()
		n.seen = nil
	}
	return len(p), nil
}

// With a terminal, the command has one of its own, of the operator's size.
func TestTerminal(t *testing.T) {
	home := newHome(t)
	sizes := make(chan backend.Size, 1)
	sizes <- backend.Size{Rows: 33, Cols: 99}
	var out buffer
	bottle := begin(t, home, newPlan(t, home, "terminal", "sh", "-c", "read line; stty size; tty; echo got $line"), backend.Stdio{
		In: strings.NewReader("\x10typed\n"), Out: &out, Terminal: true, Resize: sizes,
	})
	code, err := bottle.Wait(t.Context())
	for _, want := range []string{"33 99", "/dev/pts/0", "got \x10typed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %q (%d %v)", want, &out, code, err)
		}
	}
}

// bottleCommand is the operator's program.
func bottleCommand(t *testing.T, home state.Home, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(programs, "bottle"), args...)
	cmd.Env = append(os.Environ(), "CLAUDE_BOTTLE_HOME="+string(home), "TEST_SUPPLIED="+suppliedValue,
		"CLAUDE_BOTTLE_SIDECAR_IMAGE="+testImage, "CLAUDE_BOTTLE_AGENT_IMAGE="+agentImage)
	cmd.Dir = t.TempDir()
	return cmd
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

// A bottle outlives a killed `bottle up`, is listed truly, and ends by `down`.
// When its agent is killed too, cleanup finds what is left of it, and of no
// other.
func TestKilled(t *testing.T) {
	home := newHome(t)
	bottleFile(t, home, plainBottle)
	workspace := filepath.Join(t.TempDir(), "workspace")
	if err := os.Mkdir(workspace, 0o700); err != nil {
		t.Fatal(err)
	}
	up := func(slug string) (kill func()) {
		cmd := bottleCommand(t, home, "up", "--backend", "docker", "--bottle", "tested", "--label", slug, "--workspace", workspace, "--", "sleep", "300")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, slug+" runs", func() bool {
			_, err := newBackend(home).Open(t.Context(), slug)
			r, _ := readRecord(home.Dir(slug))
			return err == nil && r.State == "running"
		})
		return func() {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
	killFirst, killSecond := up("first"), up("second")
	defer killSecond()
	b := newBackend(home)
	states := func() string { return statesOf(t, b) }
	killFirst()
	if got := states(); got != "first running, second running" {
		t.Errorf("after kill -9 of up: %s", got)
	}
	docker(t, "kill", "-s", "KILL", "claude-bottle-agent-first")
	eventually(t, "the bottle is dead", func() bool { return states() == "first dead, second running" })
	foreignNetwork(t, "claude-bottle-net-foreign")
	foreignContainer(t, "claude-bottle-agent-foreign")
	orphans, err := b.Orphans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range orphans {
		if o.Slug != "first" {
			t.Errorf("not an orphan: %v", o)
		}
		names = append(names, o.Kind+" "+filepath.Base(o.Name))
	}
	want := []string{"container claude-bottle-agent-first", "container claude-bottle-sidecars-first", "network claude-bottle-egress-first", "network claude-bottle-net-first", "state run"}
	if slices.Sort(names); !slices.Equal(names, want) {
		t.Errorf("orphans %v, want %v", names, want)
	}
	out := output(t, bottleCommand(t, home, "cleanup", "--yes"))
	if got := states(); got != "second running" {
		t.Errorf("after cleanup: %s\n%s", got, out)
	}
	nothingLeft(t, home, "first")
	docker(t, "network", "inspect", "claude-bottle-net-foreign")
	output(t, bottleCommand(t, home, "down", "second"))
	nothingLeft(t, home, "second")
}

// Whenever `bottle up` is killed while it starts, no agent runs, and cleanup
// finds all that was made.
func TestKilledWhileStarting(t *testing.T) {
	for step, reached := range map[string]func(remains) bool{
		"making networks":     func(r remains) bool { return len(r.networks)+len(r.containers) > 0 },
		"starting the bundle": func(r remains) bool { return r.runs(partBundle) },
		"proving containment": remains.agentRuns,
	} {
		t.Run(step, func(t *testing.T) {
			home := newHome(t)
			bottleFile(t, home, plainBottle)
			workspace := filepath.Join(t.TempDir(), "workspace")
			if err := os.Mkdir(workspace, 0o700); err != nil {
				t.Fatal(err)
			}
			cmd := bottleCommand(t, home, "up", "--backend", "docker", "--bottle", "tested", "--label", "halfway", "--workspace", workspace, "--", "sh", "-c", "sleep 300; touch /workspace/ran")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			api := engine(t)
			eventually(t, "it is "+step, func() bool {
				found, err := newBackend(home).find(t.Context(), api, "halfway")
				return err == nil && reached(found["halfway"])
			})
			cmd.Process.Kill()
			cmd.Wait()
			// The engine finishes what it was asked for before.
			eventually(t, "nothing is left", func() bool {
				if only(t, newBackend(home)) == "running" { // it was too late
					output(t, bottleCommand(t, home, "down", "halfway"))
				}
				output(t, bottleCommand(t, home, "cleanup", "--yes"))
				found, err := newBackend(home).find(t.Context(), engine(t), "halfway")
				return err == nil && len(found) == 0
			})
			nothingLeft(t, home, "halfway")
			if _, err := os.Stat(filepath.Join(workspace, "ran")); err == nil {
				t.Error("the agent ran")
			}
		})
	}
}

// A bundle that dies comes back at the same addresses, with all that it knew.
func TestBundleComesBack(t *testing.T) {
	home := newHome(t)
	bottle := begin(t, home, newPlan(t, home, "mortal", "sleep", "300"), backend.Stdio{})
	const name = "claude-bottle-sidecars-mortal"
	pid, err := strconv.Atoi(docker(t, "inspect", "-f", "{{.State.Pid}}", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bundle is another process and ready", func() bool {
		if docker(t, "inspect", "-f", "{{.State.Running}} {{.State.Pid}}", name) == "true "+strconv.Itoa(pid) {
			return false
		}
		body, err := bottle.Health(t.Context())
		return err == nil && strings.Contains(string(body), `"ready":true`)
	})
	out, _ := execute(t, bottle, `curl -sS -o /dev/null -w '%{http_code}' http://_egress.local/allowlist`)
	if out != "200" {
		t.Errorf("the agent does not reach it: %s", out)
	}
	out, _ = execute(t, bottle, `curl -sS -D - -o /dev/null https://first.example.com/$SUPPLIED | grep -i claude-bottle-block`)
	if !strings.Contains(out, "secret") {
		t.Errorf("it forgot the secrets: %s", out)
	}
	if s := only(t, newBackend(home)); s != "running" {
		t.Errorf("listed as %s", s)
	}
}

// A bundle that stays dead ends its bottle, with a word.
func TestDeadBundle(t *testing.T) {
	home := newHome(t)
	bottle := begin(t, home, newPlan(t, home, "bundleless", "sleep", "300"), backend.Stdio{})
	docker(t, "kill", "-s", "KILL", "claude-bottle-sidecars-bundleless")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if code, err := bottle.Wait(ctx); code == 0 || err == nil || !strings.Contains(err.Error(), "bundle") {
		t.Errorf("ended with %d %v", code, err)
	}
}

func reportOf(t *testing.T, bottle backend.Bottle) health.Report {
	t.Helper()
	body, err := bottle.Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var report health.Report
	if err := json.Unmarshal(body, &report); err != nil {
		t.Fatal(err)
	}
	return report
}

// Everything of the operator's side works through the engine: a host is allowed
// while the bottle runs, in both filters, and nothing restarts but the firewall.
func TestLiveChange(t *testing.T) { bothShapes(t, testLiveChange) }

func testLiveChange(t *testing.T) {
	home := newHome(t)
	bottleFile(t, home, strings.Replace(plainBottle, `pipelock: "off"`, `pipelock: required`, 1))
	p := newPlan(t, home, "live", "sleep", "300")
	bottle := begin(t, home, p, backend.Stdio{})
	before := reportOf(t, bottle)
	containers := strings.Fields(docker(t, "ps", "-q", "--filter", "label="+labelSlug+"=live"))
	processes := func() string {
		return docker(t, append([]string{"inspect", "-f", "{{.Name}} {{.State.Pid}} {{.State.StartedAt}}"}, containers...)...)
	}
	ran := processes()

	operator := control.For(bottle, control.Options{Home: home, Slug: "live", Name: "tester"})
	if _, err := operator.Allow(t.Context(), "second.example.com"); err != nil {
		t.Fatal(err)
	}
	yaml, err := bottle.ReadFile(t.Context(), "pipelock.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"first.example.com", "second.example.com", "tls_interception"} {
		if !strings.Contains(string(yaml), want) {
			t.Errorf("the live /etc/pipelock.yaml has no %s", want)
		}
	}
	if hosts, err := operator.Hosts(t.Context()); err != nil || !slices.Equal(hosts, []string{"first.example.com", "second.example.com"}) {
		t.Errorf("hosts %v %v", hosts, err)
	}
	after := reportOf(t, bottle)
	for role := range before.Roles {
		if after.Roles[role].Restarts != 0 || !after.Roles[role].Since.Equal(before.Roles[role].Since) && role != "pipelock" {
			t.Errorf("%s restarted: %+v, before %+v", role, after.Roles[role], before.Roles[role])
		}
	}
	if after.Roles["pipelock"].PID == before.Roles["pipelock"].PID || after.Roles["egress"].Generation != before.Roles["egress"].Generation+1 {
		t.Errorf("before %+v, after %+v", before.Roles, after.Roles)
	}
	if now := processes(); now != ran {
		t.Errorf("a container restarted: %s, before %s", now, ran)
	}
	if _, err := operator.Allow(t.Context(), "not a host"); err == nil {
		t.Error("an invalid host was allowed")
	}
	if hosts, _ := operator.Hosts(t.Context()); len(hosts) != 2 {
		t.Errorf("an invalid host changed something: %v", hosts)
	}
	if _, err := bottle.ReadFile(t.Context(), "../plan.json"); err == nil {
		t.Error("read beside the inputs")
	}
	if err := bottle.WriteFile(t.Context(), "plan.json", nil); err == nil {
		t.Error("wrote what is no input")
	}
	docker(t, append([]string{"stop", "-t", "1"}, containers...)...)
	if _, err := operator.Allow(t.Context(), "third.example.com"); err == nil {
		t.Error("a change was confirmed by nobody")
	}
}

// statesOf is what the list says of each bottle.
func statesOf(t *testing.T, b backend.Backend) string {
	t.Helper()
	list, err := b.List(t.Context())
	if err != nil {
		t.Error(err)
	}
	var all []string
	for _, s := range list {
		all = append(all, s.Slug+" "+s.State)
	}
	return strings.Join(all, ", ")
}
