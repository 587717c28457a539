package pipelock

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/health"
)

func TestDeathHasTheChildsCode(t *testing.T) {
	l := newLab(t)
	ended := l.start()
	l.mustGet(l.client(false, l.role.Dial), allowed)
	if err := syscall.Kill(l.report().PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err := <-ended
	var death interface{ ExitCode() int }
	if !errors.As(err, &death) || death.ExitCode() != 128+9 {
		t.Errorf("got %v, want code 137", err)
	}
	if pid := l.report().PID; pid != 0 {
		t.Errorf("health still names pid %d", pid)
	}
	l.mustNotReach("without a child", func() error {
		_, err := l.get(l.client(false, l.role.Dial), l.url(allowed))
		return err
	}, ErrNoChild.Error())

	// A second Run serves again, and those who waited get through.
	waiting := make(chan error, 1)
	go func() {
		_, err := l.get(l.client(false, l.role.Dial), l.url(allowed))
		waiting <- err
	}()
	ctx, cancel := context.WithCancel(t.Context())
	again := make(chan error, 1)
	go func() { again <- l.role.Run(ctx) }()
	if err := <-waiting; err != nil {
		t.Errorf("a request that waited: %v", err)
	}
	cancel()
	if err := <-again; err != nil {
		t.Errorf("a clean stop: %v", err)
	}
}

func TestDeathWhileASuccessorStarts(t *testing.T) {
	for name, hooks := range map[string][]string{
		"the successor is never ready":           {"never-ready"},
		"the successor ignores SIGTERM, besides": {"never-ready", "ignore-term"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.config.StartTimeout, l.config.StopGrace = time.Hour, time.Hour
			actions := l.audited()
			ended := l.start()
			pid := l.report().PID
			l.mustGet(l.client(false, l.role.Dial), allowed)
			l.standIn.Hooks(t, append(l.names(), hooks...)...)
			l.role.Replace()
			l.until("the successor starts", func() bool { return len(l.children()) == 2 })
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			l.until("the death is told", func() bool { r := l.report(); return r.State == health.Failed && r.PID == 0 })
			var death interface{ ExitCode() int }
			if err := <-ended; !errors.As(err, &death) || death.ExitCode() != 128+9 {
				t.Errorf("got %v, want code 137", err)
			}
			if pids := l.children(); len(pids) != 0 {
				t.Errorf("still running: %v", pids)
			}
			if got, want := actions(), []string{"start ok", "death failed"}; !slices.Equal(got, want) {
				t.Errorf("audited %q, want %q", got, want)
			}
		})
	}
}

// TestDeathAtTheVeryReplacement kills a child when its successor is ready but
// nobody has said goodbye to it yet.
func TestDeathAtTheVeryReplacement(t *testing.T) {
	l := newLab(t)
	actions := l.audited()
	var old *child
	l.config.OnReplace = func() {
		_ = syscall.Kill(old.pid, syscall.SIGKILL)
		<-old.done
	}
	l.start()
	old = l.role.current
	l.replaced()
	l.until("the crash is counted", func() bool { return l.report().Restarts == 1 })
	if r := l.report(); r.State != health.Ready || r.PID == old.pid || !strings.Contains(r.LastError, "killed") {
		t.Errorf("the successor is to be in force: %+v", r)
	}
	l.mustGet(l.client(false, l.role.Dial), allowed)
	l.until("the crash is audited", func() bool { return len(actions()) == 3 })
	if got, want := actions(), []string{"start ok", "replace ok", "death failed"}; !slices.Equal(got, want) {
		t.Errorf("audited %q, want %q", got, want)
	}
}

func TestDeathOfAReplacedChildIsAudited(t *testing.T) {
	l := newLab(t)
	actions := l.audited()
	l.start()
	old := l.report().PID
	echo := l.open(allowed)
	if err := echo("before"); err != nil {
		t.Fatal(err)
	}
	l.replaced()
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l.until("the death is audited", func() bool { return slices.Contains(actions(), "death failed") })
	if r := l.report(); r.State != health.Ready || r.Restarts != 0 {
		t.Errorf("the child in force has not died: %+v", r)
	}
}

// audited lets the role keep an audit log and returns what reads its actions.
func (l *lab) audited() func() []string {
	l.t.Helper()
	path := filepath.Join(l.dir, "audit.jsonl")
	log, err := audit.Open(path, audit.Options{})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { log.Close() })
	l.config.Audit = log
	return func() (actions []string) {
		err := audit.Read(path, func(e audit.Entry) error {
			actions = append(actions, e.Action+" "+e.Decision)
			return nil
		})
		if err != nil {
			l.t.Error(err)
		}
		return actions
	}
}

func TestFirstStartThatFails(t *testing.T) {
	for _, test := range []struct {
		hook, want string
		code       int
	}{
		{"exit 7", "exited with code 7", 7},
		{"never-ready", "not ready within", 0},
		{"kill-switch", "kill switch is on", 0},
	} {
		t.Run(test.hook, func(t *testing.T) {
			l := newLab(t)
			if test.code == 0 {
				l.config.StartTimeout = 4 * time.Second
			}
			l.standIn.Hooks(t, test.hook)
			role, err := New(l.config)
			if err != nil {
				t.Fatal(err)
			}
			err = role.Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			var death interface{ ExitCode() int }
			if code := 0; errors.As(err, &death) {
				if code = death.ExitCode(); code != test.code {
					t.Errorf("code %d, want %d", code, test.code)
				}
			} else if test.code != 0 {
				t.Errorf("%v has no exit code", err)
			}
			if pids := l.children(); len(pids) != 0 {
				t.Errorf("still running: %v", pids)
			}
		})
	}
}

func TestUnfitFirstConfiguration(t *testing.T) {
	for name, spoil := range map[string]func(*lab){
		"no file":      func(l *lab) { os.Remove(l.config.ConfigPath) },
		"broken file":  func(l *lab) { l.write("pipelock.yaml", []byte("mode: [")) },
		"no authority": func(l *lab) { os.Remove(l.config.CACertPath) },
		"no key":       func(l *lab) { os.Remove(l.config.CAKeyPath) },
		"readable key": func(l *lab) { os.Chmod(l.config.CAKeyPath, 0o644) },
		"PKCS#8 key": func(l *lab) {
			l.write("ca-key.pem", []byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"))
		},
		"not enforced":  func(l *lab) { l.replaceInConfig("enforce: true", "enforce: false") },
		"a second door": func(l *lab) { l.replaceInConfig("version: 1", "version: 1\nkill_switch: {api_listen: '127.0.0.1:9'}") },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			spoil(l)
			role, err := New(l.config)
			if err != nil {
				t.Fatal(err)
			}
			if err := role.Run(t.Context()); !errors.Is(err, ErrConfig) {
				t.Errorf("got %v, want %v", err, ErrConfig)
			}
		})
	}
}

func TestChildThatIgnoresTERMIsKilled(t *testing.T) {
	l := newLab(t)
	l.config.StopGrace = 100 * time.Millisecond
	l.standIn.Hooks(t, append(l.names(), "ignore-term")...)
	l.start()
	old := l.report().PID
	l.replaced()
	l.until("the replaced child is gone", func() bool { return syscall.Kill(old, 0) == syscall.ESRCH })
	l.mustGet(l.client(false, l.role.Dial), allowed)
}

// helper is set for the process that TestChildDiesWithUs starts.
const helper = "PIPELOCK_TEST_OWNER"

func TestChildDiesWithUs(t *testing.T) {
	if os.Getenv(helper) != "" {
		l := newLab(t)
		l.start()
		os.Stdout.WriteString("\nchild " + strconv.Itoa(l.report().PID) + "\n")
		select {}
	}
	owner := exec.Command(os.Args[0], "-test.run=^TestChildDiesWithUs$", "-test.timeout=5m")
	owner.Env = append(os.Environ(), helper+"=1", "TMPDIR="+t.TempDir())
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	var said string
	pid := 0
	buf := make([]byte, 4096)
	for pid == 0 {
		n, err := out.Read(buf)
		said += string(buf[:n])
		if _, rest, ok := strings.Cut(said, "\nchild "); ok && strings.Contains(rest, "\n") {
			pid, _ = strconv.Atoi(strings.TrimSpace(rest))
		} else if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the child does not live: %v", err)
	}
	owner.Process.Kill()
	owner.Wait()
	for deadline := time.Now().Add(time.Minute); syscall.Kill(pid, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if state, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); strings.Contains(string(state), ") Z ") {
			return // dead; whoever inherited it has not buried it yet
		}
		if time.Now().After(deadline) {
			t.Fatal("the child outlives its owner")
		}
	}
}
