package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/claude-bottle/claude-bottle/health"
)

func TestAKilledChildIsRestartedAndAtLastEndsTheBundle(t *testing.T) {
	for name, asPID1 := range map[string]bool{"as a child": false, "as PID 1": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if asPID1 {
				w.asPID1()
			}
			w.start()
			report := w.waitReady()
			for death := 1; death <= 2; death++ {
				if err := syscall.Kill(w.waitChildren(1)[0], syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				report = w.waitHealth(fmt.Sprint(death, " restarts"), func(r health.Report) bool {
					return r.Ready && r.Roles["pipelock"].Restarts == death
				})
				w.works()
			}
			for _, role := range []string{"egress", "git-gate", "supervise"} {
				if r := report.Roles[role]; r.Restarts != 0 || r.Generation > 1 {
					t.Errorf("%s was touched: %+v", role, r)
				}
			}
			if err := syscall.Kill(w.waitChildren(1)[0], syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if code := w.exitCode(); code != 128+9 {
				t.Errorf("exit code %d after the third death, want 137", code)
			}
			if n := w.audited("pipelock", "crash"); n != 3 {
				t.Errorf("%d deaths in the audit log, want 3", n)
			}
			w.log.lines(t)
		})
	}
}

func TestTheExitCodeIsTheChildsOwn(t *testing.T) {
	for _, max := range []string{"0", "1", "3", "5"} {
		t.Run("MAX_CRASHES="+max, func(t *testing.T) {
			w := newWorld(t, "CLAUDE_BOTTLE_MAX_CRASHES="+max)
			w.standIn.Hooks(t, "exit 7")
			w.start()
			if code := w.exitCode(); code != 7 {
				t.Errorf("exit code %d, want 7", code)
			}
			want := map[string]int{"0": 1, "1": 1, "3": 3, "5": 5}[max]
			if n := w.audited("pipelock", "crash"); n != want {
				t.Errorf("%d deaths, want %d", n, want)
			}
		})
	}
}

func TestHealthIs503UntilEveryRoleIsReady(t *testing.T) {
	w := newWorld(t)
	w.standIn.Hooks(t, originName, "slow-start 1s")
	w.start()
	report := w.waitHealth("egress ready", func(r health.Report) bool { return r.Roles["egress"].State == health.Ready })
	if report.Ready || report.Roles["pipelock"].State != health.Starting {
		t.Errorf("before the child listens: %+v", report)
	}
	if status, _ := get(over(w.path("health.sock")), "http://bundle/healthz"); status != 503 {
		t.Errorf("health: %d, want 503", status)
	}
	w.waitReady()
	w.works()
	w.stop()
}

func TestAChildThatIgnoresTERMIsKilled(t *testing.T) {
	for name, asPID1 := range map[string]bool{"as a child": false, "as PID 1": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if asPID1 {
				w.asPID1()
			}
			w.standIn.Hooks(t, originName, "ignore-term")
			w.start()
			w.waitReady()
			child := w.waitChildren(1)[0]
			w.stop()
			if err := syscall.Kill(child, 0); err == nil {
				t.Error("the child outlived the bundle")
			}
			if leftovers, _ := filepath.Glob(w.path("sidecars-*")); len(leftovers) > 0 {
				t.Errorf("left behind: %v", leftovers)
			}
		})
	}
}

func TestTheBundlesDeathIsTheChilds(t *testing.T) {
	w := newWorld(t)
	w.standIn.Hooks(t, originName, "ignore-term")
	w.start()
	w.waitReady()
	child := w.waitChildren(1)[0]
	w.signal(syscall.SIGKILL)
	<-w.exited
	for range 200 {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child)); err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		syscall.Select(0, nil, nil, nil, &syscall.Timeval{Usec: 10_000})
	}
	t.Error("the child outlived the bundle")
}

// TestAKilledBundleLeavesNoSecret looks into every file that a bundle wrote
// and could not remove any more.
func TestAKilledBundleLeavesNoSecret(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.waitReady()
	w.works()
	w.signal(syscall.SIGKILL)
	<-w.exited
	left := 0
	err := filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(path, "/sidecars-") {
			left++
		}
		if bytes.Contains(content, []byte(token)) {
			t.Errorf("%s holds a credential", path)
		}
		return err
	})
	if err != nil || left == 0 {
		t.Errorf("%d private files of a killed bundle looked into: %v", left, err)
	}
}

// TestOrphansOfPID1 lets the bundle inherit a process that leaves orphans
// while children are started, replaced and killed.
func TestOrphansOfPID1(t *testing.T) {
	const orphans = 300
	w := newWorld(t, initOrphansEnv+"="+fmt.Sprint(orphans), "CLAUDE_BOTTLE_MAX_CRASHES=100")
	w.asPID1()
	w.start()
	pid := w.waitReady().Roles["pipelock"].PID
	for crashes := 1; crashes <= 8; crashes++ {
		w.signal(syscall.SIGUSR1)
		// Only the child's own status tells that it was killed. Its
		// predecessor may still be there.
		inForce := w.outside(w.waitPID(pid).Roles["pipelock"].PID)
		if err := syscall.Kill(inForce, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		report := w.waitHealth("another restart", func(r health.Report) bool {
			return r.Ready && r.Roles["pipelock"].Restarts == crashes
		})
		pid = report.Roles["pipelock"].PID
	}
	w.wait("all orphans", func() bool { _, err := os.Stat(w.path("orphans-done")); return err == nil }, w.log.String)
	w.waitChildren(1)
	w.stop()
	deaths := 0
	for _, line := range w.log.lines(t) {
		if line["msg"] == "died" {
			deaths++
			if !strings.Contains(fmt.Sprint(line["error"]), "killed") {
				t.Errorf("a child's exit status got lost: %v", line["error"])
			}
		}
	}
	if deaths != 8 {
		t.Errorf("%d deaths in the log, want 8", deaths)
	}
}

func TestARolesListenersOutliveItsDeath(t *testing.T) {
	w := newWorld(t, "CLAUDE_BOTTLE_SIDECAR_DAEMONS=pipelock")
	w.start()
	w.waitReady()
	if err := syscall.Kill(w.waitChildren(1)[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.waitHealth("a restart", func(r health.Report) bool { return r.Ready && r.Roles["pipelock"].Restarts == 1 })
	if status, body := get(over(w.path("pipelock.sock")), "http://pipelock/health"); status != 200 {
		t.Errorf("at the same socket after a death: %d %s", status, body)
	}
	w.stop()
	if _, err := os.Stat(w.path("pipelock.sock")); err == nil {
		t.Error("the socket is still there after the stop")
	}
}
