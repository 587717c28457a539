//go:build linux

package namespace_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/backend"
)

// Limits that no control group holds are told, in one line; others are not.
func TestMissingControlGroupIsTold(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "told", sh("sleep 4242")...)
	var notes []string
	bottle, err := newBackend(t, home, "good").Start(t.Context(), p, backend.Stdio{}, func(step string) {
		if strings.HasPrefix(step, "note: ") {
			notes = append(notes, step)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer bottle.Down(context.Background())
	var record struct{ Cgroups []string }
	content, err := os.ReadFile(filepath.Join(p.State.Run(), "run.json"))
	if err == nil {
		err = json.Unmarshal(content, &record)
	}
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case len(record.Cgroups) > 0 && len(notes) > 0:
		t.Errorf("there are %v, and yet: %q", record.Cgroups, notes)
	case len(record.Cgroups) == 0 && (len(notes) != 1 || !strings.HasPrefix(notes[0], "note: no control group for the bottle's limits (") || strings.Contains(notes[0], "\n")):
		t.Errorf("there are none, and told is: %q", notes)
	}
}

// What the agent keeps in memory comes out of what it may use, in each folder a
// part.
func TestFoldersInMemoryShareTheLimit(t *testing.T) {
	const size = "df -B1 --output=size /tmp /var/tmp /home/agent /run /dev/shm | tail -n +2 | tr -d ' ' | sort -u"
	for memory, want := range map[int64]string{1 << 30: "268435456\n", 64 << 30: "2147483648\n", 0: "2147483648\n"} {
		home := newHome(t)
		p := newPlan(t, home, "memory", sh(size)...)
		p.Limits.MemoryBytes = memory
		if got, code := finish(t, home, p, nil); got != want || code != 0 {
			t.Errorf("of %d bytes: exit code %d, %q, want %q", memory, code, got, want)
		}
	}
	if out, code := run(t, "head -c 300000000 /dev/zero > /tmp/much || head -c 200000000 /dev/zero > /var/tmp/less"); code != 0 || !strings.Contains(out, "No space left") {
		t.Errorf("more than the part: exit code %d %q", code, out)
	}
}
