//go:build linux

package namespace_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/state"
)

// living is a script whose agent shows in its arguments, with a child of its
// own session and one that ignores signals.
const living = `trap '' TERM; setsid sleep 4242 & sh -c 'trap "" TERM HUP INT; sleep 4242' & echo running; sleep 4242`

// family is every process below one, on the host.
func family(t *testing.T, pid int) []int {
	t.Helper()
	var all []int
	for _, path := range glob(t, fmt.Sprintf("/proc/%d/task/*/children", pid)) {
		content, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for field := range strings.FieldsSeq(string(content)) {
			all = append(append(all, number(field)), family(t, number(field))...)
		}
	}
	return all
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func dead(pid int) bool {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(content), ") Z ")
}

// readRun reads the ids in a bottle's record.
func readRun(t *testing.T, dir state.Dir) (init, bundle int) {
	t.Helper()
	r := readRecord(t, dir)
	return r.Init.PID, r.Bundle.PID
}

// record is what the tests want of a bottle's record.
type record struct {
	Init, Bundle struct{ PID int }
	Cgroups      []string
}

func readRecord(t *testing.T, dir state.Dir) (r record) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir.Run(), "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// However `bottle up` and its parts die, nothing goes on running, and what is
// left on the disk is found and removed.
func TestKilled(t *testing.T) {
	for name, victim := range map[string]func(t *testing.T, up *exec.Cmd, dir state.Dir) int{
		"up": func(t *testing.T, up *exec.Cmd, dir state.Dir) int { return up.Process.Pid },
		"init": func(t *testing.T, up *exec.Cmd, dir state.Dir) int {
			init, _ := readRun(t, dir)
			return init
		},
	} {
		t.Run(name, func(t *testing.T) {
			home := newHome(t)
			p := newPlan(t, home, "victim", sh(living)...)
			cmd := up(t, home, p)
			all := append(family(t, cmd.Process.Pid), cmd.Process.Pid)
			groups := readRecord(t, p.State).Cgroups
			if os.Geteuid() == 0 && len(groups) == 0 {
				t.Log("control: no control groups can be made here")
			}
			if len(all) < 6 { // up, init, bundle, agent and three sleepers at least
				t.Fatalf("control: only %v run", all)
			}
			if err := unix.Kill(victim(t, cmd, p.State), unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			eventually(t, "all processes are gone", func() bool { return !slices.ContainsFunc(all, func(pid int) bool { return !dead(pid) }) })

			b := newBackend(t, home, "good")
			orphans, err := b.Orphans(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if name == "up" && len(orphans) == 0 {
				t.Error("the killed bottle left a record that nobody finds")
			}
			for _, o := range orphans {
				if err := b.Remove(t.Context(), o); err != nil {
					t.Errorf("%v: %v", o, err)
				}
			}
			if orphans, err = b.Orphans(t.Context()); err != nil || len(orphans) > 0 {
				t.Errorf("still left: %v %v", orphans, err)
			}
			for _, group := range groups {
				if _, err := os.Stat(group); err == nil {
					t.Errorf("control group left: %v", group)
				}
			}
		})
	}
}

// A `bottle up` that is killed at any moment of its start leaves no process.
func TestKilledWhileStarting(t *testing.T) {
	// What loses its parent becomes this process's child.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	home := newHome(t)
	b := newBackend(t, home, "good")
	var orphans []backend.Orphan
	for i := 0; i < 16 || len(orphans) == 0; i++ { // until one got as far as its record
		if i == 100 {
			t.Fatal("control: no bottle got as far as its record")
		}
		p := newPlan(t, home, fmt.Sprintf("start-%d", i), sh(living)...)
		request, err := json.Marshal(upRequest{home, p})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self(t))
		cmd.Env = append(os.Environ(), "TEST_UP="+string(request))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i) * 7 * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		eventually(t, "all processes are gone", func() bool {
			return !slices.ContainsFunc(family(t, os.Getpid()), func(pid int) bool { return !dead(pid) })
		})
		if orphans, err = b.Orphans(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range orphans {
		if err := b.Remove(t.Context(), o); err != nil {
			t.Errorf("%v: %v", o, err)
		}
	}
	if orphans, err := b.Orphans(t.Context()); err != nil || len(orphans) > 0 {
		t.Errorf("still left: %v %v", orphans, err)
	}
}

func TestKilledBottleCanStartAgain(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "again", sh(living)...)
	cmd := up(t, home, p)
	cmd.Process.Kill()
	cmd.Wait()
	list, err := newBackend(t, home, "good").List(t.Context())
	if err != nil || len(list) != 1 || list[0].State != "dead" {
		t.Fatalf("listed as %v %v", list, err)
	}
	p.Command = sh("echo again")
	if out, code := finish(t, home, p, nil); out != "again\n" || code != 0 {
		t.Errorf("%q, exit code %d", out, code)
	}
}

// The agent's connections outlive its bundle's process.
func TestBundleDies(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "bundle", sh(`echo running; read go; curl -s http://egress:9099/`)...)
	in, agent, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	var out buffer
	bottle := start(t, home, p, backend.Stdio{In: in, Out: &out, Err: &out})
	_, first := readRun(t, p.State)
	if err := unix.Kill(first, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(agent, "go")
	if code, err := bottle.Wait(t.Context()); code != 0 || err != nil {
		t.Fatalf("exit code %d %v: %s", code, err, out.String())
	}
	var second int
	if _, err := fmt.Sscanf(strings.TrimPrefix(out.String(), "running\n"), "egress %d", &second); err != nil || second == first {
		t.Errorf("answered by %d after %d: %q", second, first, out.String())
	}
}

// A bundle that dies again and again ends the bottle.
func TestBundleKeepsDying(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "mortal", sh("sleep 4242")...)
	bottle := start(t, home, p, backend.Stdio{})
	killed := 0
	for range 6 {
		next := 0
		eventually(t, "there is another bundle", func() bool {
			_, next = readRun(t, p.State)
			return next != killed
		})
		if err := unix.Kill(next, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		killed = next
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := bottle.Wait(ctx); err == nil || !strings.Contains(err.Error(), "the bundle died 6 times") {
		t.Errorf("ended with: %v", err)
	}
	if list, err := newBackend(t, home, "good").List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("left: %v %v", list, err)
	}
}

func TestDown(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "down", sh("trap 'echo bye; exit 3' TERM; echo running; while :; do sleep 0.05; done")...)
	cmd := up(t, home, p)
	all := append(family(t, cmd.Process.Pid), cmd.Process.Pid)
	b := newBackend(t, home, "good")
	bottle, err := b.Open(t.Context(), "down")
	if err != nil {
		t.Fatal(err)
	}
	if err := bottle.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 3 {
		t.Errorf("the agent's exit code is lost: %d", code)
	}
	eventually(t, "all processes are gone", func() bool { return !slices.ContainsFunc(all, func(pid int) bool { return !dead(pid) }) })
	if list, err := b.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("still listed: %v %v", list, err)
	}
	if orphans, err := b.Orphans(t.Context()); err != nil || len(orphans) != 0 {
		t.Errorf("left: %v %v", orphans, err)
	}
	if _, err := b.Open(t.Context(), "down"); err == nil {
		t.Error("a bottle that is down opens")
	}
}

// Down of a bottle whose `bottle up` has just been killed clears up after it.
func TestDownOfKilled(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "killed", sh(living)...)
	cmd := up(t, home, p)
	all := family(t, cmd.Process.Pid)
	bottle, err := newBackend(t, home, "good").Open(t.Context(), "killed")
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(cmd.Process.Pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if err := bottle.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all processes are gone", func() bool { return !slices.ContainsFunc(all, func(pid int) bool { return !dead(pid) }) })
	if list, err := newBackend(t, home, "good").List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("still listed: %v %v", list, err)
	}
}

// A record does not mistake another process for its own.
func TestPIDReuse(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "reused", sh("true")...)
	if err := os.MkdirAll(p.State.Run(), 0o700); err != nil {
		t.Fatal(err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	sleeper := exec.Command("sleep", "4242")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		sleeper.Process.Kill()
		sleeper.Wait()
	}()
	id := fmt.Sprintf(`{"pid":%d,"start":1}`, sleeper.Process.Pid)
	record := fmt.Sprintf(`{"slug":"reused","state":"running","boot":%q,"up":%s,"init":%s,"bundle":%s}`, strings.TrimSpace(string(boot)), id, id, id)
	if err := os.WriteFile(filepath.Join(p.State.Run(), "run.json"), []byte(record), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBackend(t, home, "good")
	list, err := b.List(t.Context())
	if err != nil || len(list) != 1 || list[0].State != "dead" {
		t.Errorf("listed as %v %v", list, err)
	}
	orphans, err := b.Orphans(t.Context())
	if err != nil || len(orphans) != 1 || orphans[0].Kind != "state" {
		t.Errorf("orphans %v %v", orphans, err)
	}
	for _, o := range append(orphans, backend.Orphan{Slug: "reused", Kind: "process", Name: "init"}) {
		if err := b.Remove(t.Context(), o); err != nil {
			t.Errorf("%v: %v", o, err)
		}
	}
	if dead(sleeper.Process.Pid) {
		t.Error("a process that was never ours was killed")
	}
}
