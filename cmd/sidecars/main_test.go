package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/health"
)

// sidecarsBin is the real program, built once with the race detector and with
// a short grace.
var sidecarsBin string

const testGrace = 1500 * time.Millisecond

// initEnv makes the test binary an init: with /proc mounted it becomes the
// program that the variable names.
const initEnv = "SIDECARS_TEST_INIT"

// initOrphansEnv makes that init leave a shell running that leaves so many
// orphans behind, and a file when it has.
const initOrphansEnv = "SIDECARS_TEST_ORPHANS"

func beInit(program string) error {
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err
	}
	if n := os.Getenv(initOrphansEnv); n != "" {
		shell := exec.Command("/bin/sh", "-c", `for i in $(seq "$1"); do (sleep 0.02 &); sleep 0.002; done; : >"$TMPDIR/orphans-done"`, "sh", n)
		if err := shell.Start(); err != nil {
			return err
		}
	}
	return unix.Exec(program, []string{program}, os.Environ())
}

func TestMain(m *testing.M) {
	if program := os.Getenv(initEnv); program != "" {
		fmt.Fprintln(os.Stderr, beInit(program))
		os.Exit(1)
	}
	dir, err := os.MkdirTemp("", "sidecars-test-")
	if err != nil {
		panic(err)
	}
	sidecarsBin = filepath.Join(dir, "sidecars")
	build := exec.Command("go", "build", "-race", "-ldflags", "-X main.version=test -X main.graceForTests="+testGrace.String(), "-o", sidecarsBin, ".")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build sidecars: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// bundleProcess is a running bundle.
type bundleProcess struct {
	t      *testing.T
	dir    string
	cmd    *exec.Cmd
	log    *logLines
	exited chan struct{}
}

// newBundle prepares a bundle that keeps all it has in a folder of the test.
// Later variables win.
func newBundle(t *testing.T, environ ...string) *bundleProcess {
	t.Helper()
	p := &bundleProcess{t: t, dir: t.TempDir(), log: &logLines{}, exited: make(chan struct{})}
	p.cmd = exec.Command(sidecarsBin)
	p.cmd.Env = append([]string{
		"CLAUDE_BOTTLE_HEALTH_LISTEN=unix:" + p.path("health.sock"),
		"CLAUDE_BOTTLE_AUDIT=" + p.path("audit/bundle.jsonl"),
		"CLAUDE_BOTTLE_SLUG=tested",
		"TMPDIR=" + p.dir,
		"GORACE=atexit_sleep_ms=0",
	}, environ...)
	p.cmd.Stderr = p.log
	return p
}

func start(t *testing.T, environ ...string) *bundleProcess {
	t.Helper()
	p := newBundle(t, environ...)
	p.start()
	return p
}

// asPID1 makes it the first process of a PID namespace.
func (p *bundleProcess) asPID1() *bundleProcess {
	p.cmd.Path = "/proc/self/exe"
	p.cmd.Env = append(p.cmd.Env, initEnv+"="+sidecarsBin)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	return p
}

// asOrdinaryUser makes it run as one, who owns its folder. It returns the user
// id, which is ours where we are no root.
func (p *bundleProcess) asOrdinaryUser() uint32 {
	p.t.Helper()
	if os.Getuid() != 0 {
		return uint32(os.Getuid())
	}
	const nobody = 65534
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	for _, dir := range []string{filepath.Dir(p.dir), filepath.Dir(sidecarsBin)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			p.t.Fatal(err)
		}
	}
	err := filepath.WalkDir(p.dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, nobody, nobody))
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return nobody
}

func (p *bundleProcess) path(name string) string { return filepath.Join(p.dir, name) }

func (p *bundleProcess) start() {
	p.t.Helper()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		close(p.exited)
	}()
	p.t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.exited
		if p.t.Failed() {
			p.t.Logf("log of the bundle:\n%s", p.log.String())
		}
	})
}

func (p *bundleProcess) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// exitCode waits for the end.
func (p *bundleProcess) exitCode() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(time.Minute):
		p.t.Fatal("the bundle does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop ends it as an engine would and expects a clean exit.
func (p *bundleProcess) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.exitCode(); code != 0 {
		p.t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
}

func (p *bundleProcess) health() (health.Report, error) {
	report, _, err := health.Probe(context.Background(), "unix:"+p.path("health.sock"))
	return report, err
}

// waitHealth waits until the report is as wanted and returns it.
func (p *bundleProcess) waitHealth(what string, wanted func(health.Report) bool) health.Report {
	p.t.Helper()
	var report health.Report
	var err error
	p.wait(what, func() bool {
		report, err = p.health()
		return err == nil && wanted(report)
	}, func() string { return fmt.Sprintf("%+v %v", report, err) })
	return report
}

func (p *bundleProcess) waitReady() health.Report {
	p.t.Helper()
	return p.waitHealth("ready", func(r health.Report) bool { return r.Ready })
}

func (p *bundleProcess) wait(what string, done func() bool, last func() string) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		select {
		case <-p.exited:
			if done() {
				return
			}
			p.t.Fatalf("the bundle ended before %s", what)
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("never %s; last: %s", what, last())
		}
	}
}

// logLines collects the bundle's standard error.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// lines parses every line; each must be JSON with a role.
func (l *logLines) lines(t *testing.T) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(l.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Errorf("log line is not JSON: %v: %s", err, line)
			continue
		}
		if role, _ := fields["role"].(string); role == "" {
			t.Errorf("log line without a role: %s", line)
		}
		all = append(all, fields)
	}
	return all
}

// refuse expects that the bundle ends with code 1 and one clear error line
// that says each of words.
func refuse(t *testing.T, p *bundleProcess, words ...string) {
	t.Helper()
	p.start()
	if code := p.exitCode(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	var errs []string
	for _, line := range p.log.lines(t) {
		if line["msg"] == "cannot start" || line["msg"] == "died" {
			errs = append(errs, fmt.Sprint(line["error"]))
		}
	}
	if len(errs) != 1 {
		t.Fatalf("%d error lines, want one: %q", len(errs), errs)
	}
	for _, word := range words {
		if !strings.Contains(errs[0], word) {
			t.Errorf("error %q does not say %q", errs[0], word)
		}
	}
}

// over makes an HTTP client that talks to one unix socket.
func over(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
}

// get returns status and body; an error is status 0.
func get(client *http.Client, url string) (int, string) {
	response, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}
