package control_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

func TestTheOperatorsOwnEdits(t *testing.T) {
	l := newLab(t)
	o, agent := l.operator(), l.agent()
	step := func(out control.Outcome, err error) control.Outcome {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	step(o.Allow(t.Context(), "New.test", "*.many.test"))
	l.wantHosts("new.test", "*.many.test")
	if out := step(o.Allow(t.Context(), "new.test")); out.Diff != "" || out.Generation != 0 {
		t.Errorf("allowed twice: %+v", out)
	}
	// Somebody else's change while the editor was open stays.
	before, err := o.Hosts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	step(o.Allow(t.Context(), "meanwhile.test"))
	edited := "# my list\napi.test\nstream.test # both\n\n*.many.test\nother.test\n"
	step(o.EditHosts(t.Context(), before, []byte(edited)))
	l.wantHosts("*.many.test", "meanwhile.test", "other.test")
	for _, nothing := range []string{"", "# nobody\n", strings.Join(before, "\n")} {
		if out := step(o.EditHosts(t.Context(), before, []byte(nothing))); out.Diff != "" {
			t.Errorf("%q changed %s", nothing, out.Diff)
		}
	}
	step(o.Deny(t.Context(), "*.many.test", "meanwhile.test", "other.test"))
	l.wantHosts()

	src, err := o.Routes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	narrowed := append(src, "  methods: [POST]\n"...) // of the last route
	step(o.SetRoutes(t.Context(), src, narrowed))
	if got := l.get(agent, "stream.test", "/"); got != "method" {
		t.Errorf("narrowed: %s", got)
	}
	if _, err := o.SetRoutes(t.Context(), src, src); !errors.Is(err, control.ErrChanged) {
		t.Errorf("an edit of what is not live: %v", err)
	}
	if got := l.get(agent, "api.test", "/"); got != "hello" {
		t.Errorf("api.test: %s", got)
	}
}

func TestWhatCannotBeChangesNothing(t *testing.T) {
	l := newLab(t)
	o := l.operator()
	routesBefore, pipelockBefore := l.read(l.dir.Routes()), l.read(l.dir.Pipelock())
	live := []string{"api.test", "stream.test"}
	for name, change := range map[string]func() (control.Outcome, error){
		"no host":    func() (control.Outcome, error) { return o.Allow(t.Context(), "good.test", "not a host") },
		"a URL":      func() (control.Outcome, error) { return o.Allow(t.Context(), "https://good.test/") },
		"every host": func() (control.Outcome, error) { return o.Allow(t.Context(), "*.com") },
		"unknown":    func() (control.Outcome, error) { return o.Deny(t.Context(), "api.test", "unknown.test") },
		"a bad line": func() (control.Outcome, error) { return o.EditHosts(t.Context(), live, []byte("api.test\n%%\n")) },
		"bad routes": func() (control.Outcome, error) {
			return o.SetRoutes(t.Context(), []byte(routesBefore), []byte("routes: [{}]"))
		},
		"unknown token": func() (control.Outcome, error) {
			return o.SetRoutes(t.Context(), []byte(routesBefore), []byte("routes: [{host: a.test, auth: {token_env: SECRET}}]"))
		},
		"no proposal": func() (control.Outcome, error) {
			return o.Approve(t.Context(), "0000000000000000zz", "", control.Terms{})
		},
		"no id": func() (control.Outcome, error) {
			return o.Approve(t.Context(), "../../etc/passwd", "", control.Terms{})
		},
		"a missing folder": func() (control.Outcome, error) {
			return control.For(l.bottle(), control.Options{Home: l.home, Slug: "nobody"}).Allow(t.Context(), "good.test")
		},
		"no slug": func() (control.Outcome, error) {
			return control.For(l.bottle(), control.Options{Home: l.home, Slug: "../x"}).Allow(t.Context(), "good.test")
		},
	} {
		if out, err := change(); err == nil {
			t.Errorf("%s was taken: %+v", name, out)
		}
		if l.read(l.dir.Routes()) != routesBefore || l.read(l.dir.Pipelock()) != pipelockBefore {
			t.Fatalf("%s changed a file", name)
		}
	}
	if report := l.health(); report.Roles["egress"].Generation != 1 || report.Roles["pipelock"].Generation != 1 {
		t.Errorf("something was put in force: %+v", report)
	}
	if l.home.Exists("nobody") {
		t.Error("a folder was made for a bottle that is none")
	}
	for _, path := range []string{l.dir.Routes(), l.dir.Pipelock()} { // unreadable, whoever reads
		if err := errors.Join(os.Rename(path, path+".away"), os.Mkdir(path, 0o700)); err != nil {
			t.Fatal(err)
		}
		if out, err := o.Allow(t.Context(), "good.test"); err == nil {
			t.Errorf("allowed without %s: %+v", path, out)
		}
		if err := errors.Join(os.Remove(path), os.Rename(path+".away", path)); err != nil {
			t.Fatal(err)
		}
	}
	l.wantHosts()
}

// TestAPatternKeepsAHostOpen: denying what stays allowed would be a lie.
func TestAPatternKeepsAHostOpen(t *testing.T) {
	l := newLab(t)
	o := l.operator()
	if _, err := o.Allow(t.Context(), "*.many.test", "a.many.test"); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Deny(t.Context(), "a.many.test"); err == nil || !strings.Contains(err.Error(), "*.many.test") {
		t.Errorf("denied under a pattern: %v", err)
	}
	if _, err := o.Deny(t.Context(), "a.many.test", "*.many.test"); err != nil {
		t.Error(err)
	}
	l.wantHosts()
}

// TestTwoEditsAtOnceLoseNeither, twenty times over.
func TestTwoEditsAtOnceLoseNeither(t *testing.T) {
	l := newLab(t)
	var want []string
	for round := range 20 {
		pair := []string{fmt.Sprintf("a%d.test", round), fmt.Sprintf("b%d.test", round)}
		var both sync.WaitGroup
		for _, host := range pair {
			both.Go(func() {
				if _, err := l.operator().Allow(t.Context(), host); err != nil {
					t.Errorf("%s: %v", host, err)
				}
			})
		}
		both.Wait()
		want = append(want, pair...)
	}
	table, err := routes.Parse([]byte(l.read(l.dir.Routes())))
	if err != nil {
		t.Fatal(err)
	}
	l.inForce()
	for _, host := range want {
		for _, path := range []string{l.dir.Routes(), l.dir.Pipelock()} {
			if !strings.Contains(l.read(path), host) {
				t.Errorf("%s is not in %s", host, path)
			}
		}
	}
	if n := len(table.Hosts()); n != 2+40 {
		t.Errorf("%d hosts", n)
	}
	if n := len(l.recorded("change")); n != 40 {
		t.Errorf("%d changes are recorded", n)
	}
}
