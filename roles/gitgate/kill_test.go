package gitgate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/internal/sshdtest"
)

// childEnv holds, in a process that TestMain makes a gate, its childSettings.
const childEnv = "GITGATE_TEST_CHILD"

type childSettings struct {
	Config, Queue, Audit, Spool string
	// Disk is the size of the file system the spool is on; empty = the usual one.
	Disk string
}

// child is a gate in a process of its own, which can be killed.
type child struct {
	cmd *exec.Cmd
	url string
}

// beChild serves until the process is killed. It prints its address.
func beChild(encoded string) error {
	var c childSettings
	if err := json.Unmarshal([]byte(encoded), &c); err != nil {
		return err
	}
	if c.Disk != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return err
		}
		if err := unix.Mount("spool", c.Spool, "tmpfs", 0, "size="+c.Disk); err != nil {
			return err
		}
	}
	scanner, err := scannerOnce()
	if err != nil {
		return err
	}
	log, err := audit.Open(c.Audit, audit.Options{Slug: "test", Redact: scanner.Redact})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	role, err := New(Config{
		Listeners: []net.Listener{listener}, ConfigPath: c.Config, Scanner: scanner, Audit: log,
		Slug: "test", Queue: c.Queue, SpoolDir: c.Spool, Hold: time.Hour,
	})
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return role.Run(context.Background())
}

// startChild runs a gate before g's upstream, beside g itself.
func (g *gate) startChild(t *testing.T, c childSettings) *child {
	t.Helper()
	c.Config, c.Queue = filepath.Join(filepath.Dir(g.upstream), "config.yaml"), g.queue
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(environment(t.TempDir()), childEnv+"="+string(encoded), "GORACE=atexit_sleep_ms=0")
	if c.Disk != "" {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWNS | unix.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	k := &child{cmd: cmd}
	t.Cleanup(k.kill)
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	k.url = "http://" + strings.TrimSpace(address) + "/widgets.git"
	return k
}

// kill ends it without a chance to tidy up.
func (k *child) kill() {
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()
}

// holds tells how many bytes of a push it has on disk.
func (k *child) holds() (size int64) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", k.cmd.Process.Pid))
	for _, file := range files {
		if name, err := os.Readlink(file); err != nil || !strings.Contains(name, "/push-") {
			continue
		}
		if info, err := os.Stat(file); err == nil {
			size = max(size, info.Size())
		}
	}
	return size
}

func noise(size int) string {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{2}).Read(b)
	return string(b)
}

// slowUpstream lets what git-receive-pack is sent pass only so far while the
// file stall is in the returned folder, where it then makes the file stalled.
func slowUpstream(t *testing.T) (dir string, change func(*sshdtest.Server)) {
	t.Helper()
	dir = t.TempDir()
	wrapper := filepath.Join(dir, "wrapper")
	script := fmt.Sprintf(`#!/bin/sh
cd %s
case $SSH_ORIGINAL_COMMAND in git-receive-pack*) [ -e stall ] && {
	{ head -c 1000000; : >stalled; while [ -e stall ]; do sleep 0.05; done; cat; } | sh -c "$SSH_ORIGINAL_COMMAND"
	: >ended
	exit
} ;; esac
exec sh -c "$SSH_ORIGINAL_COMMAND"
`, dir)
	if err := os.WriteFile(wrapper, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, func(s *sshdtest.Server) {
		keys := filepath.Join(filepath.Dir(s.Identity), "authorized_keys")
		line, err := os.ReadFile(keys)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(keys, append([]byte(`command="`+wrapper+`" `), line...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestKilled kills the gate at each step of a push: the upstream has nothing of
// it, nothing is left on disk, and the next gate takes the same push.
func TestKilled(t *testing.T) {
	t.Parallel()
	slow, change := slowUpstream(t)
	g := startGate(t, change)
	q := g.operator(t)
	c := childSettings{Audit: filepath.Join(t.TempDir(), "audit.jsonl"), Spool: t.TempDir()}
	stall := filepath.Join(slow, "stall")
	for _, test := range []struct {
		name  string
		files map[string]string
		ready func(*child) bool
	}{
		// A change of CI files waits for the operator, should the scan be over
		// before it is looked for.
		{"scanned", map[string]string{"text": strings.Repeat("key = value, secret: token\n", 1<<18), "Jenkinsfile": "node {}"},
			func(k *child) bool { return k.holds() > 0 }},
		{"held", map[string]string{"Jenkinsfile": "node {}\n"},
			func(*child) bool {
				entries, _, err := q.List()
				return err == nil && len(entries) > 0
			}},
		{"forwarded", map[string]string{"noise": noise(6 << 20)},
			func(*child) bool { return exists(filepath.Join(slow, "stalled")) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := g.cloned(t)
			commit(t, dir, test.files)
			k := g.startChild(t, c)
			if err := os.WriteFile(stall, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			before := g.refs(t)
			push := exec.Command("git", "push", k.url, "HEAD:refs/heads/"+test.name)
			push.Dir, push.Env = dir, environment("/nonexistent")
			var told bytes.Buffer
			push.Stderr = &told
			if err := push.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the push is under way", func() bool { return test.ready(k) })
			k.kill()
			if err := push.Wait(); err == nil {
				t.Errorf("the client takes it for done: %s", told.String())
			}
			if err := os.Remove(stall); err != nil {
				t.Fatal(err)
			}
			if test.name == "forwarded" {
				eventually(t, "the upstream gives up", func() bool { return exists(filepath.Join(slow, "ended")) })
			}
			if after := g.refs(t); after != before {
				t.Errorf("the upstream changed: %s", after)
			}
			if left, err := os.ReadDir(c.Spool); err != nil || len(left) > 0 {
				t.Errorf("left on disk: %v %v", left, err)
			}
			if _, inPush := test.files["Jenkinsfile"]; inPush {
				git(t, dir, "rm", "-q", "Jenkinsfile")
				git(t, dir, "commit", "-q", "-m", "without")
			}
			next := g.startChild(t, c)
			git(t, dir, "push", "-q", next.url, "HEAD:refs/heads/"+test.name)
			if g.refs(t) == before {
				t.Error("the same push later changes nothing")
			}
			next.kill()
		})
	}
	git(t, g.upstream, "fsck", "--strict")
	if report, err := audit.Verify(c.Audit); err != nil || report.Broken != nil {
		t.Errorf("audit: %+v %v", report, err)
	}
}

// TestFullFileSystem: a push that does not fit on the disk is refused with words,
// and one that fits passes after it.
func TestFullFileSystem(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	k := g.startChild(t, childSettings{Audit: filepath.Join(t.TempDir(), "audit.jsonl"), Spool: t.TempDir(), Disk: "1m"})
	dir := g.cloned(t)
	commit(t, dir, map[string]string{"noise": noise(2 << 20)})
	before := g.state(t)
	for range 2 {
		out, err := tryGit(t, dir, "push", k.url, "HEAD:refs/heads/new")
		if err == nil || !strings.Contains(out, "remote: git-gate: refused: limit: the push is too large: no space is left") {
			t.Errorf("%v: %s", err, out)
		}
	}
	if g.state(t) != before {
		t.Error("the upstream changed")
	}
	git(t, dir, "rm", "-q", "noise")
	commit(t, dir, map[string]string{"small": "text"})
	git(t, dir, "reset", "-q", "--soft", "HEAD~2")
	git(t, dir, "commit", "-q", "-m", "small")
	git(t, dir, "push", "-q", k.url, "HEAD:refs/heads/new")
	if g.state(t) == before {
		t.Error("a push that fits changes nothing")
	}
}
