//go:build linux

package docker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/control"
)

// ownEngine is an engine of a test's own, so that it can be ended. Its networks
// are in a network namespace of its own, out of the way of the machine's.
type ownEngine struct {
	t           *testing.T
	dir         string
	liveRestore bool
	process     *exec.Cmd
}

// startOwnEngine starts one with the bundle's image, and makes it the engine of
// the test. What is wrong with it is what a machine without the right to run
// engines says.
func startOwnEngine(t *testing.T, liveRestore bool) *ownEngine {
	t.Helper()
	saved := filepath.Join(t.TempDir(), "image.tar")
	docker(t, "save", "-o", saved, testImage)
	dir, err := os.MkdirTemp("", "engine-") // short, for its sockets
	if err != nil {
		t.Fatal(err)
	}
	e := &ownEngine{t: t, dir: dir, liveRestore: liveRestore}
	t.Setenv("DOCKER_HOST", "unix://"+e.path("sock"))
	t.Cleanup(e.remove)
	e.start()
	docker(t, "load", "-i", saved)
	return e
}

func (e *ownEngine) path(name string) string { return filepath.Join(e.dir, name) }

func (e *ownEngine) start() {
	e.t.Helper()
	log, err := os.OpenFile(e.path("log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		e.t.Fatal(err)
	}
	defer log.Close()
	if err := os.WriteFile(e.path("none.json"), []byte("{}"), 0o600); err != nil {
		e.t.Fatal(err)
	}
	e.process = exec.Command("nsenter", "--net="+e.network(), // which becomes:
		"dockerd", "--config-file", e.path("none.json"), "--data-root", e.path("data"), "--exec-root", e.path("exec"),
		"--pidfile", e.path("pid"), "-H", "unix://"+e.path("sock"), fmt.Sprintf("--live-restore=%v", e.liveRestore))
	e.process.Stdout, e.process.Stderr = log, log
	if err := e.process.Start(); err != nil {
		e.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); exec.Command("docker", "version").Run() != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(e.path("log"))
			e.t.Fatalf("the test's own engine does not answer; it takes root and Docker's dockerd: %s", said[max(0, len(said)-2000):])
		}
	}
}

// network returns the file of the engine's network namespace, which outlives
// it.
func (e *ownEngine) network() string {
	path := e.path("net")
	if _, err := os.Lstat(path); err == nil {
		return path
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		e.t.Fatal(err)
	}
	// unshare binds the new namespace to the file.
	if out, err := exec.Command("unshare", "--net="+path, "true").CombinedOutput(); err != nil {
		e.t.Fatalf("a network namespace for the test's own engine, which takes root: %v %s", err, out)
	}
	return path
}

func (e *ownEngine) end(how syscall.Signal) {
	e.t.Helper()
	if err := e.process.Process.Signal(how); err != nil {
		e.t.Fatal(err)
	}
	_ = e.process.Wait()
	// Its containerd ends with it, and must not be taken for one that lives.
	eventually(e.t, "containerd has ended", func() bool {
		pid := e.containerd()
		return pid == 0 || syscall.Kill(pid, 0) != nil
	})
}

// containerd is the process that the engine started; 0 = none.
func (e *ownEngine) containerd() (pid int) {
	text, err := os.ReadFile(e.path("exec/containerd/containerd.pid"))
	if err != nil {
		return 0
	}
	pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// remove ends the engine and what it left.
func (e *ownEngine) remove() {
	_ = e.process.Process.Signal(syscall.SIGTERM)
	_ = e.process.Wait()
	if pid := e.containerd(); pid > 1 {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	lines := strings.Split(string(mounts), "\n")
	slices.Reverse(lines)
	for _, line := range lines {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], e.dir+"/") {
			_ = unix.Unmount(fields[1], unix.MNT_DETACH)
		}
	}
	if err := os.RemoveAll(e.dir); err != nil {
		e.t.Error(err)
	}
}

// patient is a command of the bundle's image that lives for two minutes.
var patient = []string{"/bottle-init", "run", "--", "true"}

// An engine that is started again ends its containers or lets them live. `bottle
// ls` tells which, a bottle that lives works as before, and of one that is dead
// all is removed: by its `bottle up`, or, when that was killed, by cleanup.
func TestEngineRestarts(t *testing.T) {
	for name, c := range map[string]struct {
		lives bool
		how   syscall.Signal
	}{"ended": {false, syscall.SIGTERM}, "killed, containers live": {true, syscall.SIGKILL}} {
		t.Run(name, func(t *testing.T) {
			engine := startOwnEngine(t, c.lives)
			home := newHome(t)
			b := New(Options{Home: home, Image: testImage, AgentImage: testImage}).(*Backend)
			p := newPlan(t, home, "kept", patient...)
			bottle, err := b.Start(t.Context(), p, backend.Stdio{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			up := bottleCommand(t, home, append([]string{"up", "--backend", "docker", "--bottle", "tested", "--label", "orphan", "--workspace", t.TempDir(), "--"}, patient...)...)
			up.Env = append(up.Env, "CLAUDE_BOTTLE_AGENT_IMAGE="+testImage)
			if err := up.Start(); err != nil {
				t.Fatal(err)
			}
			states := func() string {
				list, err := b.List(t.Context())
				var all []string
				for _, s := range list {
					all = append(all, s.Slug+" "+s.State)
				}
				if err != nil {
					t.Error(err)
				}
				return strings.Join(all, ", ")
			}
			eventually(t, "both run", func() bool { return states() == "kept running, orphan running" })
			_ = up.Process.Kill()
			_ = up.Wait()

			engine.end(c.how)
			if got := states(); got != "kept unknown, orphan unknown" {
				t.Errorf("without an engine: %s", got)
			}
			engine.start()
			if c.lives {
				eventually(t, "both run on", func() bool { return states() == "kept running, orphan running" })
				if orphans, err := b.Orphans(t.Context()); err != nil || len(orphans) > 0 {
					t.Errorf("orphans %v %v", orphans, err)
				}
				operator := control.For(bottle, control.Options{Home: home, Slug: "kept", Name: "tester"})
				if _, err := operator.Allow(t.Context(), "second.example.com"); err != nil {
					t.Errorf("a live change: %v", err)
				}
				if err := bottle.Down(t.Context()); err != nil {
					t.Error(err)
				}
				output(t, bottleCommand(t, home, "down", "orphan"))
			} else {
				eventually(t, "its up removed the first", func() bool { return states() == "orphan dead" })
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if code, err := bottle.Wait(ctx); code == 0 || err != nil {
					t.Errorf("it ended with %d %v", code, err)
				}
				output(t, bottleCommand(t, home, "cleanup", "--yes"))
			}
			nothingLeft(t, home, "kept")
			nothingLeft(t, home, "orphan")
			if got := states(); got != "" {
				t.Errorf("still listed: %s", got)
			}
		})
	}
}
