package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// ownerOfEnviron tells whom the kernel lets read a process's environment.
func ownerOfEnviron(t *testing.T, pid int) uint32 {
	t.Helper()
	info, err := os.Stat(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Uid
}

func TestItsMemoryIsItsOwn(t *testing.T) {
	p := newBundle(t, "CLAUDE_BOTTLE_SIDECAR_DAEMONS=")
	uid := p.asOrdinaryUser()
	control := exec.Command("/bin/sleep", "1000")
	control.SysProcAttr = p.cmd.SysProcAttr
	if err := control.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { control.Process.Kill(); control.Wait() }()
	p.start()
	p.waitReady()
	if owner := ownerOfEnviron(t, control.Process.Pid); owner != uid {
		t.Fatalf("an ordinary process's environ belongs to %d, want %d", owner, uid)
	}
	if owner := ownerOfEnviron(t, p.cmd.Process.Pid); owner != 0 {
		t.Errorf("the bundle's environ belongs to %d, want root's alone", owner)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok && strings.Fields(rest)[1] != "0" {
			t.Errorf("core files are possible: %s", line)
		}
	}
	p.stop()
}

// TestTheWholeBundleAsAnOrdinaryUser: a non-dumpable process finds most of its
// own /proc closed when it is not root's.
func TestTheWholeBundleAsAnOrdinaryUser(t *testing.T) {
	w := newWorld(t)
	w.asOrdinaryUser()
	w.start()
	pid := w.waitReady().Roles["pipelock"].PID
	w.works()
	w.signal(syscall.SIGUSR1)
	w.waitPID(pid)
	w.works()
	w.stop()
}

func TestListenersHandedOver(t *testing.T) {
	p := newBundle(t, "CLAUDE_BOTTLE_SIDECAR_DAEMONS=git-gate", "GIT_GATE_LISTEN=203.0.113.1:1",
		"LISTEN_FDS=4", "LISTEN_FDNAMES=git-gate:health:git-gate:supervise")
	if err := os.WriteFile(p.path("git-gate.yaml"), []byte("repos: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.cmd.Env = append(p.cmd.Env, "GIT_GATE_CONFIG="+p.path("git-gate.yaml"))
	for i := range 4 {
		l, err := net.Listen("unix", p.path(fmt.Sprintf("%d.sock", i)))
		if err != nil {
			t.Fatal(err)
		}
		file, err := l.(*net.UnixListener).File()
		if err != nil {
			t.Fatal(err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		l.Close()
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, file)
	}
	p.start()
	for _, f := range p.cmd.ExtraFiles {
		f.Close()
	}
	p.wait("ready", func() bool {
		status, _ := get(over(p.path("1.sock")), "http://bundle/healthz")
		return status == 200
	}, p.log.String)
	for _, socket := range []string{"0.sock", "2.sock"} {
		if status, body := get(over(p.path(socket)), "http://git-gate/none.git/info/refs"); status < 400 || status > 499 {
			t.Errorf("git-gate at %s: %d %s", socket, status, body)
		}
	}
	if _, err := net.Dial("unix", p.path("3.sock")); err == nil {
		t.Error("the listener of a role that does not run still takes connections")
	}
	p.stop()
}

func TestSecretsComeByDescriptor(t *testing.T) {
	fd, err := unix.MemfdCreate("secrets", 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "secrets")
	defer file.Close()
	const secret = "correct-horse-battery"
	if _, err := file.WriteString(secret + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := file.Chmod(0o600); err != nil {
		t.Fatal(err)
	}
	// The name of an unknown role is logged, so a secret there must be redacted.
	p := newBundle(t, "CLAUDE_BOTTLE_SIDECAR_DAEMONS=harmless,"+secret, "CLAUDE_BOTTLE_SECRETS=/proc/self/fd/3")
	p.cmd.ExtraFiles = []*os.File{file}
	p.start()
	p.waitReady()
	if link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/3", p.cmd.Process.Pid)); err == nil && strings.Contains(link, "memfd") {
		t.Errorf("the descriptor of the secrets is still open: %s", link)
	}
	p.stop()
	if log := p.log.String(); strings.Contains(log, secret) || !strings.Contains(log, "harmless") {
		t.Errorf("the log must show the harmless name and not the secret:\n%s", log)
	}
	p.log.lines(t)
}
