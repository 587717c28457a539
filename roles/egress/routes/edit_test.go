package routes_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

const edited = `# top

# about routes
routes:
  # first
  - host: a.test  # inline a
    ports: [443, 8443]

  # ---- section

  # second
  - host: b.test
    # why GET
    methods: [GET]
  - {host: "*.c.test"} # flow
  # after c
  - host: b.test
    grant: p-1
    uses: 1

# end
`

func hostsOf(t *testing.T, b []byte) string {
	t.Helper()
	var hosts []string
	for _, r := range mustParse(t, string(b)).Routes() {
		hosts = append(hosts, r.Host)
	}
	return strings.Join(hosts, " ")
}

func TestEdits(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func([]byte) ([]byte, error)
		want string
		gone []string // comments that leave with their routes
	}{
		{name: "add", want: "a.test b.test *.c.test b.test d.test",
			edit: func(b []byte) ([]byte, error) { return routes.AddHosts(b, "D.test", "a.test", "d.test.") }},
		{name: "add pattern", want: "a.test b.test *.c.test b.test *.d.test",
			edit: func(b []byte) ([]byte, error) { return routes.AddHosts(b, "*.d.test") }},
		{name: "remove first", want: "b.test *.c.test b.test", gone: []string{"# first", "# inline a"},
			edit: func(b []byte) ([]byte, error) { return routes.RemoveHosts(b, "A.test") }},
		{name: "remove with grant", want: "a.test *.c.test", gone: []string{"# second", "# why GET", "# after c"},
			edit: func(b []byte) ([]byte, error) { return routes.RemoveHosts(b, "b.test") }},
		{name: "remove pattern", want: "a.test b.test b.test", gone: []string{"# flow"},
			edit: func(b []byte) ([]byte, error) { return routes.RemoveHosts(b, "*.c.test") }},
		{name: "remove all", want: "", gone: []string{"# first", "# inline a", "# second", "# why GET", "# flow", "# after c"},
			edit: func(b []byte) ([]byte, error) { return routes.SetHosts(b, nil) }},
		{name: "set", want: "b.test b.test new.test", gone: []string{"# first", "# inline a", "# flow"},
			edit: func(b []byte) ([]byte, error) { return routes.SetHosts(b, []string{"new.test", "b.test"}) }},
		{name: "remove grant", want: "a.test b.test *.c.test", gone: []string{"# after c"},
			edit: func(b []byte) ([]byte, error) { return routes.RemoveGrant(b, "p-1") }},
		{name: "append", want: "a.test b.test *.c.test b.test g.test",
			edit: func(b []byte) ([]byte, error) {
				return routes.Append(b, routes.Route{Host: "G.test", Grant: "p-2", Expires: time.Unix(1e9, 0), Paths: []string{"/x"}})
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := c.edit([]byte(edited))
			if err != nil {
				t.Fatal(err)
			}
			if got := hostsOf(t, out); got != c.want {
				t.Errorf("hosts %q, want %q", got, c.want)
			}
			for _, comment := range []string{
				"# top", "# about routes", "# first", "# inline a", "# ---- section", "# second", "# why GET", "# flow", "# after c", "# end",
			} {
				mayGo := false
				for _, gone := range c.gone {
					mayGo = mayGo || gone == comment
				}
				if !mayGo && !strings.Contains(string(out), comment) {
					t.Errorf("%s is lost in\n%s", comment, out)
				}
			}
		})
	}
}

func TestEditsKeepWhatStays(t *testing.T) {
	before := mustParse(t, edited).Routes()
	out, err := routes.SetHosts([]byte(edited), []string{"b.test", "*.c.test", "d.test"})
	if err != nil {
		t.Fatal(err)
	}
	after := mustParse(t, string(out)).Routes()
	if !reflect.DeepEqual(after[:3], before[1:]) || after[3].Host != "d.test" {
		t.Errorf("before %+v, after %+v", before, after)
	}
	same, err := routes.AddHosts([]byte(edited), "a.test")
	if err != nil || string(same) != edited {
		t.Errorf("adding what is there changed the bytes: %v", err)
	}
}

func TestAddBesideAGrant(t *testing.T) {
	src := []byte("routes:\n- {host: a.test, grant: p-1, uses: 1}\n")
	out, err := routes.AddHosts(src, "a.test")
	if err != nil || hostsOf(t, out) != "a.test a.test" {
		t.Errorf("a grant stands for the lasting route: %s, %v", out, err)
	}
}

func TestEditsOfUnusualFiles(t *testing.T) {
	for _, src := range []string{
		"", "# words\n", "routes:\n", "routes: null # words\n", "routes: []\n", "{}\n", "{routes: []}\n", "routes: [] # words\n", "---\n", "# words\n---\n...\n",
		"routes: [{host: a.test}, {host: b.test, auth: {token_env: EGRESS_TOKEN_1}}]\n", "{routes: [{host: a.test}]}",
		"routes:\r\n- host: a.test\r\n", "\"routes\":\n-\n  host: >-\n    a.test\n", "%YAML 1.1\n---\nroutes: [{host: a.test}]\n",
	} {
		t.Run(src, func(t *testing.T) {
			before := hostsOf(t, []byte(src))
			out, err := routes.AddHosts([]byte(src), "z.test")
			if err != nil {
				t.Fatal(err)
			}
			if got := hostsOf(t, out); got != strings.TrimSpace(before+" z.test") {
				t.Errorf("hosts %q in\n%s", got, out)
			}
			if strings.Contains(src, "# words") && !strings.Contains(string(out), "# words") {
				t.Errorf("the comment is lost in\n%s", out)
			}
			back, err := routes.RemoveHosts(out, "z.test")
			if err != nil || hostsOf(t, back) != before {
				t.Errorf("taken back: %q, %v", back, err)
			}
		})
	}
}

func TestEditsRefuse(t *testing.T) {
	src := []byte(edited)
	for name, edit := range map[string]func() ([]byte, error){
		"malformed host":   func() ([]byte, error) { return routes.AddHosts(src, "ok.test", "not ok") },
		"star on suffix":   func() ([]byte, error) { return routes.SetHosts(src, []string{"*.com"}) },
		"unknown host":     func() ([]byte, error) { return routes.RemoveHosts(src, "a.test", "nowhere.test") },
		"unknown grant":    func() ([]byte, error) { return routes.RemoveGrant(src, "p-9") },
		"no grant":         func() ([]byte, error) { return routes.RemoveGrant(src, "") },
		"invalid route":    func() ([]byte, error) { return routes.Append(src, routes.Route{Host: "a.test", Uses: 1}) },
		"file was invalid": func() ([]byte, error) { return routes.AddHosts([]byte("routes: [{hots: a}]"), "b.test") },
	} {
		if out, err := edit(); err == nil || out != nil {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

func FuzzRoutes(f *testing.F) {
	for _, seed := range []string{full, table, edited, "", "routes: []", "routes: [{host: a.test}]", "{}", "--- # x\n..."} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		parsed, err := routes.Parse(src)
		if err != nil {
			return
		}
		again, err := routes.Parse(parsed.Render())
		if err != nil || !reflect.DeepEqual(again.Routes(), parsed.Routes()) {
			t.Fatalf("%q renders as %q: %v", src, parsed.Render(), err)
		}
		out, err := routes.AddHosts(src, "fuzz.test")
		if err != nil {
			return // said, and nothing changed
		}
		n := len(parsed.Routes())
		if got := mustParse(t, string(out)).Routes(); len(got) < n || n > 0 && !reflect.DeepEqual(got[:n], parsed.Routes()) {
			t.Fatalf("%q became %q", src, out)
		}
	})
}
