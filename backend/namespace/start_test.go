//go:build linux

package namespace_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/backend/namespace"
	"github.com/claude-bottle/claude-bottle/containment"
	"github.com/claude-bottle/claude-bottle/plan"
)

func TestAvailable(t *testing.T) {
	if err := newBackend(t, newHome(t), "good").Available(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Where the kernel forbids user namespaces, the error says what to enable.
func TestUnavailable(t *testing.T) {
	cmd := exec.Command(self(t))
	cmd.Env = []string{"TEST_AVAILABLE=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// The setting is each user namespace's own.
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getegid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_RESOURCE},
	}
	said, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "sudo sysctl -w user.max_user_namespaces=") {
		t.Errorf("%v: %s", err, said)
	}
}

// playForbidding switches user namespaces off for itself and asks whether the
// backend is available.
func playForbidding() {
	if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
		fatal(err)
	}
	if err := namespace.New(namespace.Options{Home: "/nonexistent"}).Available(context.Background()); err != nil {
		fmt.Println(err)
	}
}

// What cannot start says why, runs nothing and leaves nothing.
func TestStartRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		bundle string
		change func(p *plan.Plan)
		want   string
	}{
		"broken bundle":        {"broken", nil, "no CA certificate"},
		"no workspace":         {"good", func(p *plan.Plan) { p.Workspace += "/none" }, "no such file"},
		"workspace is a file":  {"good", func(p *plan.Plan) { p.Workspace = "/etc/passwd" }, "not a folder"},
		"no command":           {"good", func(p *plan.Plan) { p.Command = nil }, "no command"},
		"file in the system":   {"good", func(p *plan.Plan) { p.AgentFiles = []plan.File{{Path: "/usr/bin/x"}} }, "/usr"},
		"file in the work":     {"good", func(p *plan.Plan) { p.AgentFiles = []plan.File{{Path: "/workspace/../workspace/x"}} }, "/workspace"},
		"relative file":        {"good", func(p *plan.Plan) { p.AgentFiles = []plan.File{{Path: "etc/x"}} }, "absolute"},
		"hooks are not hidden": {"good", func(p *plan.Plan) { link(t, p.Workspace) }, ".git/hooks"},
	} {
		t.Run(name, func(t *testing.T) {
			home := newHome(t)
			p := newPlan(t, home, "refused", sh("touch /workspace/ran")...)
			if c.change != nil {
				c.change(p)
			}
			bottle, err := newBackend(t, home, c.bundle).Start(t.Context(), p, backend.Stdio{}, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v %v, want %q", bottle, err, c.want)
			}
			if _, err := os.Stat(filepath.Join(p.Workspace, "ran")); err == nil {
				t.Error("the agent ran")
			}
			if list, err := newBackend(t, home, "good").List(t.Context()); err != nil || len(list) != 0 {
				t.Errorf("left: %v %v", list, err)
			}
		})
	}
}

func link(t *testing.T, workspace string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(workspace, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../elsewhere", filepath.Join(workspace, ".git", "hooks")); err != nil {
		t.Fatal(err)
	}
}

// A bottle with a way out does not start.
func TestStartRefusesLeak(t *testing.T) {
	if os.Geteuid() != 0 {
		return // only root can break into the bottle's network to make one
	}
	home := newHome(t)
	p := newPlan(t, home, "leak", sh("touch /workspace/ran")...)
	_, err := newBackend(t, home, "leaky").Start(t.Context(), p, backend.Stdio{}, nil)
	if !errors.Is(err, containment.ErrNotContained) || !strings.Contains(err.Error(), "udp 8.8.8.8:53 (there is a route)") {
		t.Errorf("the leak is not found: %v", err)
	}
	if _, err := os.Stat(filepath.Join(p.Workspace, "ran")); err == nil {
		t.Error("the agent ran")
	}
}

func TestSlugInUse(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "used", sh("sleep 4242")...)
	start(t, home, p, backend.Stdio{})
	if _, err := newBackend(t, home, "good").Start(t.Context(), p, backend.Stdio{}, nil); err == nil || !strings.Contains(err.Error(), "is running already") {
		t.Errorf("started twice: %v", err)
	}
	list, err := newBackend(t, home, "good").List(t.Context())
	if err != nil || len(list) != 1 || list[0].State != "running" || list[0].Agent != "test" || list[0].Backend != "namespace" {
		t.Errorf("listed as %v %v", list, err)
	}
}

// A path that no socket can have, and one full of characters that need care.
func TestLongAndStrangePaths(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "long", sh("pwd; ls")...)
	strange := filepath.Join(t.TempDir(), strings.Repeat("very long folder name ", 9), "a b:c,d=\\\n☃")
	if err := os.MkdirAll(strange, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(strange, "found"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p.Workspace = strange
	if out, code := finish(t, home, p, nil); out != "/workspace\nfound\n" || code != 0 {
		t.Errorf("%q, exit code %d", out, code)
	}
}
