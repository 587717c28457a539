package attack_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/state"
)

const slug = "attacked"

// bottleFile is the bottle that is attacked. %[1]d is the origin's port,
// %[2]s the agent's variables, %[3]s, %[4]s and %[5]q the upstream. Without
// pipelock, egress alone has to hold; it would not know the suite's names either.
const bottleFile = `---
env:
%[2]sagent:
  command: [sleep, infinity]
egress:
  routes:
    - host: origin.attack.test
      ports: [%[1]d]
      networks: [%[6]s]
      websocket: true
    - host: "*.wild.attack.test"
      ports: [%[1]d]
      networks: [%[6]s]
    - host: paths.attack.test
      ports: [%[1]d]
      methods: [GET]
      paths: [/org]
      networks: [%[6]s]
    - host: auth.attack.test
      ports: [%[1]d]
      networks: [%[6]s]
      auth: {scheme: Bearer, token_ref: ATTACK_TOKEN}
    - host: inside.attack.test
      ports: [%[1]d, %[7]d]
git-gate:
  repos:
    widgets:
      url: %[3]s
      identity: %[4]s
      host_key: %[5]q
pipelock: "off"
---
`

// bottle is the operator's program.
func (w *world) bottle(ctx context.Context, home state.Home, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(programs, "bottle"), args...)
	cmd.Env = append(os.Environ(),
		"CLAUDE_BOTTLE_HOME="+string(home), "ATTACK_TOKEN="+w.token,
		"EGRESS_RESOLVER="+w.names.address, "EGRESS_UPSTREAM_CA="+w.caPath,
	)
	cmd.Env = append(cmd.Env, w.secrets()...)
	return cmd
}

// up brings the bottle up, to be ended with the test.
func (w *world) up(t *testing.T) state.Home {
	t.Helper()
	home := state.Home(filepath.Join(t.TempDir(), "home"))
	workspace := filepath.Join(t.TempDir(), "workspace")
	env := ""
	for _, name := range slices.Sorted(maps.Keys(w.known)) {
		env += fmt.Sprintf("  %s: ${%s}\n", name, name)
	}
	for _, name := range slices.Sorted(maps.Keys(w.shapes)) {
		env += fmt.Sprintf("  %s: %s\n", name, w.shapes[name])
	}
	file := fmt.Sprintf(bottleFile, w.port, env, w.git.url, w.git.identity, w.git.hostKey, w.network, w.collector.port)
	if err := errors.Join(
		os.MkdirAll(home.Bottles(), 0o700),
		os.Chmod(string(home), 0o700),
		os.MkdirAll(workspace, 0o700),
		os.WriteFile(filepath.Join(home.Bottles(), "attacked.md"), []byte(file), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		out, err := w.bottle(context.Background(), home, "down", slug).CombinedOutput()
		if err != nil {
			t.Errorf("down: %v: %s", err, out)
		}
	})
	output(t, w.bottle(t.Context(), home, "up", "-d", "--bottle", "attacked", "--label", slug, "--workspace", workspace))
	return home
}

// rejectAll is an operator who says no to whatever the agent asks for.
func (w *world) rejectAll(ctx context.Context, home state.Home) {
	queue, err := proposal.Open(home.Dir(slug).Queue(), slug)
	if err != nil {
		return // the cases will miss it
	}
	defer queue.Close()
	for ctx.Err() == nil {
		entries, _, err := queue.List()
		if err != nil {
			return
		}
		for _, e := range entries {
			if e.Response != nil || e.Decision != nil {
				continue
			}
			no := proposal.Response{ProposalID: e.Proposal.ID, Review: e.Proposal.Review, Status: proposal.Rejected, Decided: time.Now().UTC(), Operator: "test"}
			if queue.Decide(no) == nil {
				_ = queue.Confirm(e.Proposal.ID) // it may have been withdrawn
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}
