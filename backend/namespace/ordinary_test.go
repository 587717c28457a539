//go:build linux

package namespace_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// notAgain are the tests whose outcome does not depend on who runs them.
const notAgain = "Wire|Unified|Group|OpenFolder|BundleKeepsDying|KilledWhileStarting|ExitCodes|StartRefuses|CommandMissing|ForeignArchitecture|" +
	"InitSurvives|LongAndStrange|TestSignals|PIDReuse|ContextEnds|WorkspaceWithRules"

// Everything is the same for an ordinary user: the suite again.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		return // it is one already
	}
	const user = 12345
	dir, err := os.MkdirTemp("", "ordinary") // a test's own folder is closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "suite")
	if err := os.WriteFile(binary, content, 0o755); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(dir, "own")
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(own, user, user); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.timeout=10m", "-test.v", "-test.skip="+notAgain)
	cmd.Dir = own
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + own, "TMPDIR=" + own}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	said, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "--- PASS: TestAttempts") {
		t.Errorf("%v\n%s", err, said)
	}
}
