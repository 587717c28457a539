package pipelock

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/claude-bottle/claude-bottle/audit"
)

func TestFilter(t *testing.T) {
	l := newLab(t)
	l.start()
	through, decrypted := l.client(false, l.role.Dial), l.client(true, l.role.Dial)

	l.mustGet(through, allowed)
	l.mustGet(decrypted, inspected)
	l.mustNotReach("a host that is not allowed", func() error {
		_, err := l.get(through, l.url(denied))
		return err
	}, "Forbidden")
	l.mustNotReach("a known secret in an inspected body", func() error {
		response, err := decrypted.Post(l.url(inspected), "text/plain", strings.NewReader("x="+secret))
		if err != nil {
			return err
		}
		response.Body.Close()
		return errors.New(response.Status)
	}, "403")
	if _, err := l.get(through, l.url(inspected)); err == nil {
		t.Error("an inspected tunnel shows the origin's own certificate")
	}
}

func TestChildSeesNothingOfOurs(t *testing.T) {
	t.Setenv("EGRESS_TOKEN_1", "token-of-the-operator")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	l := newLab(t)
	l.start()
	l.mustGet(l.client(false, l.role.Dial), allowed)

	proc := fmt.Sprintf("/proc/%d/", l.report().PID)
	environment, err := os.ReadFile(proc + "environ")
	if err != nil {
		t.Fatal(err)
	}
	if want := "SSL_CERT_FILE=" + l.config.TrustedCAs + "\x00"; string(environment) != want {
		t.Errorf("environment is %q, want only %q", environment, want)
	}
	command, err := os.ReadFile(proc + "cmdline")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(command, []byte(secret)) {
		t.Error("a secret is on the child's command line")
	}
	parts := strings.Split(string(command), "\x00")
	inMemory := proc + "fd/" + filepath.Base(secretsFD)
	for _, path := range []string{parts[3], inMemory} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", path, info, err)
		}
	}
	if b, _ := os.ReadFile(inMemory); string(b) != secret+"\n" {
		t.Errorf("the secrets' file holds %q", b)
	}
	if err := os.WriteFile(inMemory, nil, 0); !errors.Is(err, syscall.EPERM) {
		t.Errorf("the secrets' file can be changed: %v", err)
	}
	private := 0
	err = filepath.WalkDir(l.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		private++
		if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte(secret)) {
			t.Errorf("%s holds a secret (%v)", path, err)
		}
		return nil
	})
	if err != nil || private == 0 {
		t.Errorf("looked into %d files: %v", private, err)
	}
	if group, err := os.ReadFile(proc + "stat"); err != nil || !strings.Contains(string(group), fmt.Sprintf(" %d %d ", os.Getpid(), l.report().PID)) {
		t.Errorf("the child is not the leader of a process group of its own: %s", group)
	}
}

func TestPrivateFilesAreRemoved(t *testing.T) {
	l := newLab(t)
	t.Run("role", func(t *testing.T) {
		l.t = t
		l.start()
		l.replaced()
		if left, _ := filepath.Glob(filepath.Join(l.dir, "pipelock-*", "*")); len(left) == 0 {
			t.Error("no private files while it runs")
		}
	})
	if left, _ := filepath.Glob(filepath.Join(l.dir, "pipelock-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if pids := l.children(); len(pids) != 0 {
		t.Errorf("still running: %v", pids)
	}
}

func TestHealthHandler(t *testing.T) {
	l := newLab(t)
	l.start()
	server := &http.Server{Handler: l.role.HealthHandler()}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener)
	defer server.Close()
	url := "http://" + listener.Addr().String() + "/health"
	if body, err := l.get(http.DefaultClient, url); err != nil || !strings.Contains(body, `"status":"healthy"`) || !strings.Contains(body, `"mode":"strict"`) {
		t.Errorf("health: %q, %v", body, err)
	}
	l.role.withdraw()
	if _, err := l.get(http.DefaultClient, url); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("health without a child: %v, want 503", err)
	}
}

func TestOutputIsCleaned(t *testing.T) {
	l := newLab(t)
	line := "https://h.test/path?token=abc and " + secret
	l.standIn.Hooks(t, append(l.names(), "print "+line)...)
	l.start()
	l.until("both lines are logged", func() bool { return strings.Count(l.log.String(), "https://h.test/path ") == 2 })
	if strings.Contains(l.log.String(), "token=abc") {
		t.Errorf("a query string is logged:\n%s", l.log)
	}
	if strings.Contains(l.log.String(), secret) {
		t.Errorf("a secret is logged:\n%s", l.log)
	}
}

func TestNothingStartsUnaudited(t *testing.T) {
	l := newLab(t)
	log, err := audit.Open(filepath.Join(l.dir, "audit.jsonl"), audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.config.Audit = log
	t.Run("kept", func(t *testing.T) {
		l.t = t
		l.start()
	})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(filepath.Join(l.dir, "audit.jsonl"))
	if err != nil || bytes.Count(written, []byte(`"actor":"pipelock"`)) != 2 {
		t.Errorf("start and stop are not both in the log: %v\n%s", err, written)
	}

	role, err := New(l.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := role.Run(t.Context()); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("with a closed log: %v, want %v", err, audit.ErrClosed)
	}
	if pids := l.children(); len(pids) != 0 {
		t.Errorf("still running: %v", pids)
	}
}
