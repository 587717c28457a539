package plan_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

// A workspace through which the agent would meet the operator's other programs
// is refused, under any name; a project's folder below a shared one is not.
func TestWorkspaceOfTheSystemIsRefused(t *testing.T) {
	s := newSetting(t, nil)
	outer := filepath.Join(s.dir, "outer")
	runtime, temporary := filepath.Join(outer, "a", "runtime"), filepath.Join(outer, "b", "tmp")
	beside := filepath.Join(outer, "beside")
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	t.Setenv("TMPDIR", temporary)
	sockets := filepath.Join(state.SocketFolder(), "0123456789ab")
	for _, dir := range []string{runtime, temporary, sockets, beside, filepath.Join(runtime, "project"), filepath.Join(temporary, "project")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	alias := filepath.Join(s.dir, "alias")
	if err := os.Symlink(outer, alias); err != nil {
		t.Fatal(err)
	}
	refused := []string{
		"/", "/proc", "/proc/1", "/dev", "/dev/shm", "/run", "/run/lock", "/sys", "/sys/fs", "/etc", "/etc/ssl",
		"/var", "/var/run", "/var/tmp", "/tmp", "/home", "/root", "/usr", "/proc/self/root/tmp",
		outer, alias, runtime, filepath.Dir(runtime), temporary, filepath.Dir(temporary), state.SocketFolder(), sockets,
	}
	for _, workspace := range refused {
		if _, err := os.Stat(workspace); err != nil {
			continue // not on this system
		}
		s.options.Workspace = workspace
		if _, err := plan.Prepare(t.Context(), s.options); err == nil || !strings.Contains(err.Error(), "choose a project's folder with --workspace") {
			t.Errorf("%s: %v", workspace, err)
		}
	}
	for _, workspace := range []string{beside, filepath.Join(runtime, "project"), filepath.Join(temporary, "project")} {
		s.options.Workspace = workspace
		if p := s.prepare(t); p.Workspace != workspace {
			t.Errorf("control: %s became %s", workspace, p.Workspace)
		}
	}
}
