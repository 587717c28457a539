//go:build linux

package docker

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/control"
)

// patient is a command of the bundle's image that lives for two minutes.
var patient = []string{"/bottle-init", "run", "--", "true"}

// An engine that is started again ends its containers or lets them live. `bottle
// ls` tells which, a bottle that lives works as before, and of one that is dead
// all is removed: by its `bottle up`, or, when that was killed, by cleanup.
func TestEngineRestarts(t *testing.T) {
	for name, c := range map[string]struct {
		lives bool
		how   syscall.Signal
	}{"ended": {false, syscall.SIGTERM}, "killed, containers live": {true, syscall.SIGKILL}} {
		t.Run(name, func(t *testing.T) {
			engine := startOwnEngine(t, fmt.Sprintf("--live-restore=%v", c.lives))
			home := newHome(t)
			b := New(Options{Home: home, Image: testImage, AgentImage: testImage}).(*Backend)
			p := newPlan(t, home, "kept", patient...)
			var told buffer
			bottle, err := b.Start(t.Context(), p, backend.Stdio{}, func(step string) { fmt.Fprintln(&told, step) })
			if err != nil {
				t.Fatal(err)
			}
			up := bottleCommand(t, home, append([]string{"up", "--backend", "docker", "--bottle", "tested", "--label", "orphan", "--workspace", t.TempDir(), "--"}, patient...)...)
			up.Env = append(up.Env, "CLAUDE_BOTTLE_AGENT_IMAGE="+testImage)
			if err := up.Start(); err != nil {
				t.Fatal(err)
			}
			states := func() string { return statesOf(t, b) }
			eventually(t, "both run", func() bool { return states() == "kept running, orphan running" })
			_ = up.Process.Kill()
			_ = up.Wait()

			engine.end(c.how)
			if got := states(); got != "kept unknown, orphan unknown" {
				t.Errorf("without an engine: %s", got)
			}
			engine.start()
			if c.lives {
				eventually(t, "both run on", func() bool { return states() == "kept running, orphan running" })
				if orphans, err := b.Orphans(t.Context()); err != nil || len(orphans) > 0 {
					t.Errorf("orphans %v %v", orphans, err)
				}
				eventually(t, "the operator is told", func() bool { return strings.Contains(told.String(), "note: the Docker engine was started again") })
				operator := control.For(bottle, control.Options{Home: home, Slug: "kept", Name: "tester"})
				if _, err := operator.Allow(t.Context(), "second.example.com"); err != nil {
					t.Errorf("a live change: %v", err)
				}
				if err := bottle.Down(t.Context()); err != nil {
					t.Error(err)
				}
				output(t, bottleCommand(t, home, "down", "orphan"))
			} else {
				eventually(t, "its up removed the first", func() bool { return states() == "orphan dead" })
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if code, err := bottle.Wait(ctx); code == 0 || err != nil {
					t.Errorf("it ended with %d %v", code, err)
				}
				output(t, bottleCommand(t, home, "cleanup", "--yes"))
			}
			nothingLeft(t, home, "kept")
			nothingLeft(t, home, "orphan")
			if got := states(); got != "" {
				t.Errorf("still listed: %s", got)
			}
		})
	}
}
