package control_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// TestNoStepOpensMoreThanApproved asks, at each point of a change, for a host
// that comes, one that goes and one that stays.
func TestNoStepOpensMoreThanApproved(t *testing.T) {
	l := newLab(t)
	agent := l.agent()
	var passed []string
	at := func(check func(point string)) *control.Operator {
		passed = nil
		return l.operator().OnPoint(func(point string) {
			if strings.HasPrefix(point, "confirmed ") {
				passed = append(passed, strings.TrimPrefix(point, "confirmed "))
			}
			check(point)
			if got := l.get(agent, "api.test", "/"); got != "hello" {
				t.Errorf("%s: what stays allowed: %s", point, got)
			}
		})
	}
	set := func(o *control.Operator, change ...routes.Route) {
		t.Helper()
		table, err := routes.New(append([]routes.Route{l.route("api.test")}, change...))
		if err != nil {
			t.Fatal(err)
		}
		src, err := o.Routes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.SetRoutes(t.Context(), src, table.Render()); err != nil {
			t.Fatal(err)
		}
	}
	wantPassed := func(want ...string) {
		t.Helper()
		if !slices.Equal(passed, want) {
			t.Errorf("in the order %q, want %q", passed, want)
		}
	}
	stream := l.route("stream.test")
	stream.Pipelock = routes.Passthrough
	comes, goes := l.route("new.test"), l.route("other.test")
	set(l.operator(), stream, goes)

	// One comes: the firewall first, and until egress's turn nobody passes.
	set(at(func(point string) {
		if got := l.get(agent, "new.test", "/"); got == "hello" && !strings.HasSuffix(point, "egress") {
			t.Errorf("%s: open before its time", point)
		}
	}), stream, goes, comes)
	wantPassed("pipelock", "egress")

	// One goes: egress first, and from then on nobody passes.
	set(at(func(point string) {
		if got := l.get(agent, "other.test", "/"); got == "hello" && strings.HasPrefix(point, "confirmed") {
			t.Errorf("%s: still open", point)
		}
	}), stream, comes)
	wantPassed("egress", "pipelock")

	// Both at once: a host is open by the old routes or by the new ones, and
	// what is allowed in both is never refused.
	set(at(func(point string) {
		// In this order: once the one that comes is open, the other is not.
		if l.get(agent, "other.test", "/") == "hello" && l.get(agent, "new.test", "/") == "hello" {
			t.Errorf("%s: both are open", point)
		}
	}), stream, goes)
	wantPassed("pipelock", "egress", "pipelock")

	// How the firewall treats a host changes: it is reached all the while.
	for _, pipelock := range []string{routes.Inspect, routes.Passthrough} {
		stream.Pipelock = pipelock
		set(at(func(point string) {
			if got := l.get(agent, "stream.test", "/"); got != "hello" {
				t.Errorf("to %s, %s: %s", pipelock, point, got)
			}
		}), stream, goes)
		t.Logf("to %s: %q", pipelock, passed)
	}
}
