//go:build linux

package docker

import (
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
)

// ownEngine is an engine of a test's own, so that it can be ended. Its networks
// are in a network namespace of its own, out of the way of the machine's.
type ownEngine struct {
	t       *testing.T
	dir     string
	flags   []string
	process *exec.Cmd
}

// startOwnEngine starts one with the bundle's image, and makes it the engine of
// the test.
func startOwnEngine(t *testing.T, flags ...string) *ownEngine {
	t.Helper()
	saved := filepath.Join(t.TempDir(), "image.tar")
	docker(t, "save", "-o", saved, testImage)
	dir, err := os.MkdirTemp("", "engine-") // short, for its sockets
	if err != nil {
		t.Fatal(err)
	}
	e := &ownEngine{t: t, dir: dir, flags: flags}
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
	e.process = exec.Command("nsenter", append([]string{"--net=" + e.network(), // which becomes:
		"dockerd", "--config-file", e.path("none.json"), "--data-root", e.path("data"), "--exec-root", e.path("exec"),
		"--pidfile", e.path("pid"), "-H", "unix://" + e.path("sock")}, e.flags...)...)
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
