package strictyaml_test

import (
	"fmt"
	"strings"
	"testing"

	yaml "go.yaml.in/yaml/v4"

	"github.com/claude-bottle/claude-bottle/internal/strictyaml"
)

type inner struct {
	Host  string   `yaml:"host"`
	Ports []uint16 `yaml:"ports,omitempty"`
}

type located struct {
	inner
	line int
}

func (l *located) UnmarshalYAML(n *yaml.Node) error {
	l.line = n.Line
	return strictyaml.Node(n, &l.inner)
}

type outer struct {
	Routes []inner          `yaml:"routes"`
	Named  map[string]inner `yaml:"named"`
	Own    []located        `yaml:"own"`
	Deep   *outer           `yaml:"deep"`
	On     bool             `yaml:"on"`
}

func TestLoad(t *testing.T) {
	for _, test := range []struct{ src, want string }{
		{"routes:\n- host: a\n  ports: [1]\n", ""},
		{"", ""},
		{"# nothing\n", ""},
		{"routes:\n- host: a\n  porst: [1]\n", `line 3: unknown key "porst"; did you mean "ports"?`},
		{"routes:\n- host: a\n  zebra: 1\n", `line 3: unknown key "zebra"; the keys here are host, ports`},
		{"named:\n  x:\n    hots: a\n", `line 3: unknown key "hots"; did you mean "host"?`},
		{"deep:\n  deep:\n    route: []\n", `line 3: unknown key "route"; did you mean "routes"?`},
		{"rotues: []\nnamd: {}\n", "line 1: unknown key \"rotues\"; did you mean \"routes\"?\nline 2: unknown key \"namd\"; did you mean \"named\"?"},
		{"own:\n- host: a\n  prots: [1]\n", `line 3: unknown key "prots"; did you mean "ports"?`},
		{"routes:\n- host: [a]\n", "line 2: a list stands where one text is expected"},
		{"own:\n- host: [a]\n", "line 2: a list stands where one text is expected"},
		{"on: maybe\n", `line 1: "maybe" stands where true or false is expected`},
		{"routes: yes\n", `line 1: "yes" stands where a list is expected`},
		{"routes: [a]\n", `line 1: "a" stands where a group of keys is expected`},
		{"routes: [{ports: [x]}]\n", `line 1: "x" stands where a number from 0 to 65535 is expected`},
		{"routes: [{ports: [70000]}]\n", `line 1: "70000" stands where a number from 0 to 65535 is expected`},
		{"named: [a]\n", `line 1: a list stands where a group of keys is expected`},
		{"routes: []\nroutes: []\n", `line 2: mapping key "routes" already defined at line 1`},
		{"routes: [\n", "line 2: did not find expected node content"},
		{"a: b: c\n", "line 1: mapping values are not allowed in this context"},
		{"routes: []\n---\nroutes: []\n", "line 2: a second YAML document begins here"},
		{"deep: &a\n  deep: *a\n", "contains itself"},
		{"<<: {nope: 1}\n", `unknown key "<<"`},
	} {
		var out outer
		err := strictyaml.Load([]byte(test.src), &out)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%q: %v", test.src, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%q: got %v, want %s", test.src, err, test.want)
		}
	}
}

// TestHostileInputEndsSoon: a file of 100 KB is read or refused in well under a
// second, with an error of readable length. Comparing every key with every
// other took minutes.
func TestHostileInputEndsSoon(t *testing.T) {
	var unknown strings.Builder
	for i := range 9000 {
		fmt.Fprintf(&unknown, "key%d: 1\n", i)
	}
	for name, src := range map[string]string{
		"repeated": "named:\n" + strings.Repeat("  a: {host: b}\n", 7000),
		"scalar":   "routes: [{host: {" + strings.Repeat("a: b, ", 17000) + "}}]\n",
		"own":      "own: [{host: {" + strings.Repeat("a: b, ", 17000) + "}}]\n",
		"unknown":  unknown.String(),
		"deep":     "routes: " + strings.Repeat("[", 100000),
		"complex":  "named: {" + strings.Repeat("[a]: {host: b}, ", 6000) + "}\n",
	} {
		var out outer
		err := strictyaml.Load([]byte(src), &out)
		if err == nil || len(err.Error()) > 10_000 {
			t.Errorf("%s: got %.200v", name, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("routes:\n- host: a\n  ports: [1]\nown: [{host: b}]\n"))
	f.Add([]byte("deep: &a\n  deep: *a\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 4096 {
			return
		}
		var out outer
		if err := strictyaml.Load(src, &out); err != nil && err.Error() == "" {
			t.Fatal("an error without words")
		}
	})
}
