//go:build linux

package namespace_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/plan"
)

// everywhereRefused are attempts that fail outside too, for one reason or
// another; they have no control.
var everywhereRefused = []string{
	"bpf", "crypto socket", "open /dev/vsock", "open sysrq", "unknown system call", "vsock", "write /proc/sys/user",
	"write /proc/pressure", "take a descriptor of 1", "read memory of 1", "read root of 1", "read environ of 1", "open exe of 1", "open fds of 1", "open memory of 1",
}

// needRoot are attempts whose control only root can give.
var needRoot = []string{
	"list /root", "read /etc/shadow", "write /usr", "write /etc", "write /proc/sys", "open /dev/kmsg", "make a device",
	"packet socket", "raw socket", "a second loopback address",
	"userfaultfd", "perf_event_open", "clone mounts", "become root", "chroot", "mount", "open_tree", "TIOCSTI", "netfilter socket",
}

// TestAttempts has a hostile agent try everything, and the operator the same
// beside it, to show that there was something to reach.
func TestAttempts(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "file"), []byte("private"), 0o644); err != nil {
		t.Fatal(err)
	}
	abstract := fmt.Sprintf("claude-bottle-test-%d", os.Getpid())
	port := ""
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(outside, "docker.sock"), "unixpacket": ""} {
		if network == "unixpacket" {
			network, address = "unix", "@"+abstract
		}
		listener, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		if network == "tcp" {
			_, port, _ = net.SplitHostPort(listener.Addr().String())
		}
	}
	env := []string{
		"TEST_AGENT=attempts", "OUTSIDE=" + outside, "HOST_PORT=" + port, "HOST_ABSTRACT=" + abstract, fmt.Sprintf("HOST_PID=%d", os.Getpid()),
	}

	home := newHome(t)
	p := newPlan(t, home, "attempts", "/workspace/agent")
	addAgent(t, p)
	p.AgentEnv = append(p.AgentEnv, append(env, "SCRATCH=/workspace")...)
	out, code := finish(t, home, p, nil)
	if code != 0 {
		t.Fatalf("the agent ended with %d: %s", code, out)
	}
	inside := results(t, out)

	control := exec.Command(self(t))
	control.Env = append(env, "SCRATCH="+t.TempDir())
	said, err := control.Output()
	if err != nil {
		t.Fatal(err)
	}
	beside := results(t, string(said))

	for name, result := range inside {
		if result == "succeeded" {
			t.Errorf("%s succeeded inside", name)
		}
		known := slices.Contains(everywhereRefused, name) || os.Geteuid() != 0 && slices.Contains(needRoot, name)
		if !known && beside[name] != "succeeded" {
			t.Errorf("control: %s failed outside too: %s", name, beside[name])
		}
	}
	entries, err := os.ReadDir(p.Workspace)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
			t.Errorf("%s is %v outside", entry.Name(), info.Mode())
		}
	}
}

func results(t *testing.T, report string) map[string]string {
	t.Helper()
	var found map[string]string
	if err := json.Unmarshal([]byte(report), &found); err != nil {
		t.Fatalf("%v: %s", err, report)
	}
	for name, result := range found {
		t.Logf("%-26s %s", name, result)
	}
	return found
}

// A program of another architecture's calls dies; the control shows that the
// kernel would have served it.
func TestForeignArchitecture(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		return // there is no such door
	}
	control := exec.Command(self(t))
	control.Env = []string{"TEST_AGENT=i386"}
	if _ = control.Run(); control.ProcessState.ExitCode() != 42 {
		t.Logf("control: this kernel serves no 32-bit calls: %v", control.ProcessState)
	}
	for _, door := range []string{"i386", "x32"} {
		home := newHome(t)
		p := newPlan(t, home, "foreign", "/workspace/agent")
		addAgent(t, p)
		p.AgentEnv = append(p.AgentEnv, "TEST_AGENT="+door)
		if out, code := finish(t, home, p, nil); code != 128+int(unix.SIGSYS) {
			t.Errorf("%s: exit code %d, want that of SIGSYS: %s", door, code, out)
		}
	}
}

func TestInitSurvivesSignals(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "signals", sh("TEST_AGENT=signal-init ./agent; sleep 0.1; echo alive; exit 5")...)
	addAgent(t, p)
	if out, code := finish(t, home, p, nil); out != "alive\n" || code != 5 {
		t.Errorf("exit code %d, %q", code, out)
	}
}

func TestStatus(t *testing.T) {
	out, _ := run(t, "cat /proc/self/status; for n in user net mnt pid; do echo max_$n: $(cat /proc/sys/user/max_${n}_namespaces); done")
	status := fields(out)
	for key, want := range map[string]string{
		"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000",
		"CapBnd": "0000000000000000", "CapAmb": "0000000000000000",
		"max_user": "0", "max_net": "0", "max_mnt": "0", "max_pid": "0",
		"NoNewPrivs": "1", "Seccomp": "2", "Uid": "1000\t1000\t1000\t1000", "Gid": "1000\t1000\t1000\t1000",
	} {
		if status[key] != want {
			t.Errorf("%s: %q, want %q", key, status[key], want)
		}
	}
}

// Nothing that `bottle` inherited reaches the agent.
func TestDescriptors(t *testing.T) {
	leaked, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer leaked.Close()
	if _, err := unix.FcntlInt(leaked.Fd(), unix.F_SETFD, 0); err != nil {
		t.Fatal(err)
	}
	control, err := exec.Command("ls", "/proc/self/fd").Output()
	if err != nil || !slices.Contains(strings.Fields(string(control)), fmt.Sprint(leaked.Fd())) {
		t.Fatalf("control: the descriptor is not inherited outside: %q %v", control, err)
	}
	if out, _ := run(t, "ls /proc/self/fd"); out != "0\n1\n2\n3\n" { // 3 is the folder itself
		t.Errorf("open inside: %q", out)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("OPERATORS_SECRET", "operator")
	home := newHome(t)
	p := newPlan(t, home, "env", sh("env; cat /proc/*/environ; cat /etc/hosts /etc/resolv.conf; hostname; ls /home /run /var/tmp /tmp /root 2>&1; id -un")...)
	p.Tokens = map[string]string{"EGRESS_TOKEN_1": "token-of-the-bundle"}
	p.Secrets = []string{"secret-of-the-bundle"}
	p.AgentEnv = append(p.AgentEnv, "GIVEN=given")
	p.AgentFiles = []plan.File{{Path: "/home/agent/.config/x", Mode: 0o600, Content: []byte("x")}}
	out, _ := finish(t, home, p, nil)
	for _, want := range []string{"GIVEN=given", "HOME=/home/agent", "claude-bottle-git-gate-env", "\nenv\n", "agent\n", "No such file"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in %s", want, out)
		}
	}
	onDisk, err := exec.Command("grep", "-r", "-e", "secret-of", "-e", "token-of", string(home), p.Workspace).Output()
	if len(onDisk) != 0 {
		t.Errorf("on the disk: %s %v", onDisk, err)
	}
	for _, secret := range []string{"operator", "token-of", "secret-of", "nameserver"} {
		if strings.Contains(out, secret) {
			t.Errorf("%q is known inside: %s", secret, out)
		}
	}
}

// The bundle has what the agent must not have; the agent finds the bundle by
// every one of its names, and nothing else listens.
func TestListeners(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "listen", sh(`for h in egress claude-bottle-egress-listen; do curl -s http://$h:9099/; echo; done
curl -s http://supervise:9100/; echo; curl -s http://egress:9099/env
grep -c ' 0A ' /proc/net/tcp; for p in 8888 9420 9101; do curl -s http://127.0.0.1:$p/ || echo refused; done`)...)
	p.Tokens = map[string]string{"EGRESS_TOKEN_1": "token-of-the-bundle"}
	p.Secrets = []string{"secret-of-the-bundle", "another"}
	out, _ := finish(t, home, p, nil)
	for _, want := range []string{
		"egress ", "supervise ", "EGRESS_TOKEN_1=token-of-the-bundle", "secret-of-the-bundle\nanother\n", "2\nrefused\nrefused\nrefused\n",
		"CLAUDE_BOTTLE_SLUG=listen",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in %s", want, out)
		}
	}
}
