package supervise_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/roles/supervise"
)

// TestConformance runs those scenarios of the public suite that need no tools
// or resources of the suite's own fixture server.
func TestConformance(t *testing.T) {
	modules, err := filepath.Abs("../../.tools/conformance/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	node, suite := filepath.Join(modules, ".bin", "node"), filepath.Join(modules, ".bin", "conformance")
	for _, needed := range []string{node, suite} {
		if _, err := os.Stat(needed); err != nil {
			t.Fatalf("the MCP conformance suite is not installed: run scripts/test-deps (%v)", err)
		}
	}
	s := start(t, t.TempDir(), func(c *supervise.Config) { c.Wait = 0 })
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, scenario := range []string{
		"server-initialize", "ping", "logging-set-level", "tools-list", "dns-rebinding-protection", "server-sse-multiple-streams",
	} {
		t.Run(scenario, func(t *testing.T) {
			command := exec.CommandContext(t.Context(), node, suite, "server", "--url", "http://localhost:"+port+"/mcp", "--scenario", scenario)
			command.Dir = t.TempDir()
			out, err := command.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "SUCCESS") || !strings.Contains(string(out), " 0 failed, 0 warnings") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
