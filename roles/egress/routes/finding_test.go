package routes_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

var cleared = routes.Finding{Rule: "github-pat", Fingerprint: "0012e4"}

// TestAddFinding adds to every route that may decide on the host, and changes
// nothing else.
func TestAddFinding(t *testing.T) {
	for _, c := range []struct {
		host string
		want []int // routes with the finding
	}{
		{"a.test", []int{0}},
		{"A.test.", []int{0}},
		{"b.test", []int{1, 3}},
		{"x.c.test", []int{2}},
		{"y.x.c.test", []int{2}},
	} {
		t.Run(c.host, func(t *testing.T) {
			before := mustParse(t, edited).Routes()
			out, err := routes.AddFinding([]byte(edited), c.host, cleared)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range mustParse(t, string(out)).Routes() {
				if got := slices.Contains(r.Findings, cleared); got != slices.Contains(c.want, i) {
					t.Errorf("route %d: %+v", i, r)
				}
				if r.Findings = nil; !reflect.DeepEqual(r, before[i]) {
					t.Errorf("route %d was %+v and is %+v", i, before[i], r)
				}
			}
			for _, comment := range []string{"# top", "# about routes", "# first", "# inline a", "# ---- section", "# second", "# why GET", "# flow", "# after c", "# end"} {
				if !strings.Contains(string(out), comment) {
					t.Errorf("%s is lost in\n%s", comment, out)
				}
			}
			again, err := routes.AddFinding(out, c.host, cleared)
			if err != nil || string(again) != string(out) {
				t.Errorf("the same finding once more: %v\n%s", err, again)
			}
			more, err := routes.AddFinding(out, c.host, routes.Finding{Rule: "jwt", Fingerprint: "ab"})
			if err != nil || len(mustParse(t, string(more)).Routes()[c.want[0]].Findings) != 2 {
				t.Errorf("a second finding: %v\n%s", err, more)
			}
		})
	}
}

func FuzzAddFinding(f *testing.F) {
	for _, seed := range []string{full, table, edited, "routes: [{host: a.test, findings: [{rule: a, fingerprint: b}]}]", "routes:\n-\n  host: a.test # x\n"} {
		f.Add([]byte(seed), "a.test", "jwt", "12")
	}
	f.Fuzz(func(t *testing.T, src []byte, host, rule, fingerprint string) {
		added := routes.Finding{Rule: rule, Fingerprint: fingerprint}
		out, err := routes.AddFinding(src, host, added)
		if err != nil {
			return // said, and nothing changed
		}
		before, after := mustParse(t, string(src)).Routes(), mustParse(t, string(out)).Routes()
		found := false
		for i, r := range after {
			if n := len(before[i].Findings); len(r.Findings) > n {
				r.Findings = r.Findings[:n:n]
			}
			if n := len(r.Findings); n == 0 {
				r.Findings = before[i].Findings
			}
			found = found || slices.Contains(after[i].Findings, added)
			if !reflect.DeepEqual(r, before[i]) {
				t.Fatalf("%q became %q", src, out)
			}
		}
		if !found || len(after) != len(before) {
			t.Fatalf("%q became %q without the finding", src, out)
		}
	})
}

func TestAddFindingRefuses(t *testing.T) {
	for _, c := range []struct {
		host string
		f    routes.Finding
	}{
		{"nowhere.test", cleared},
		{"c.test", cleared}, // the apex of a pattern
		{"*.c.test", cleared},
		{"not a host", cleared},
		{"", cleared},
		{"a.test", routes.Finding{Rule: "jwt"}},
		{"a.test", routes.Finding{Fingerprint: "ab"}},
	} {
		if out, err := routes.AddFinding([]byte(edited), c.host, c.f); err == nil || out != nil {
			t.Errorf("%q, %+v: %s", c.host, c.f, out)
		}
	}
	if out, err := routes.AddFinding([]byte("routes: [{hots: a}]"), "a", cleared); err == nil || out != nil {
		t.Errorf("an invalid file: %s", out)
	}
}

func TestFreeLabels(t *testing.T) {
	table := mustParse(t, `routes:
  - host: "*.wild.test"
  - host: "*.deep.wild.test"
  - host: exact.wild.test
`)
	for name, want := range map[string][]int{
		"a.wild.test": {1}, "a.b.wild.test": {2}, "a.b.deep.wild.test": {2, 3},
		"exact.wild.test": nil, "wild.test": nil, "other.test": nil, "192.0.2.1": nil,
	} {
		host, err := canon.ParseHost(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := table.FreeLabels(host); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
