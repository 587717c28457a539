package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/roles/pipelock/config"
)

func TestSetHosts(t *testing.T) {
	for _, test := range []struct {
		name, src string
		hosts     []string
		want      string // "" = src
	}{
		{"add", "a: 1\napi_allowlist:\n  - a.test\nb: 2\n", []string{"a.test", "b.test"},
			"a: 1\napi_allowlist:\n  - a.test\n  - b.test\nb: 2\n"},
		{"remove", "api_allowlist:\n- a.test # why\n# of b\n- b.test\n\n# end\nz: {q: [1,  2]}", []string{"a.test"},
			"api_allowlist:\n- a.test # why\n# of b\n\n# end\nz: {q: [1,  2]}"},
		{"exchange all", "api_allowlist:\n   -  a.test\n   -  'b.test'\nz: 1\n", []string{"*.c.test", "::1", "on"},
			"api_allowlist:\n   -  \"*.c.test\"\n   -  \"::1\"\n   -  \"on\"\nz: 1\n"},
		{"keep order and spelling", "api_allowlist:\n- B.test.\n- a.test\n", []string{"a.test", "c.test", "b.test"},
			"api_allowlist:\n- B.test.\n- a.test\n- c.test\n"},
		{"no change", "api_allowlist:\n- b.test # b\n- a.test\n", []string{"a.test", "b.test", "A.TEST"}, ""},
		{"last line without end", "z: 1\napi_allowlist:\n- a.test", []string{"a.test", "b.test"},
			"z: 1\napi_allowlist:\n- a.test\n- b.test\n"},
		{"CRLF", "z: 1\r\napi_allowlist:\r\n- a.test\r\n- b.test\r\nq: 2\r\n", []string{"b.test", "c.test"},
			"z: 1\r\napi_allowlist:\r\n- b.test\r\n- c.test\r\nq: 2\r\n"},
		{"brackets", "z: 1\napi_allowlist: [a.test, \"b.test\" ] # mine\nq: [ a.test ]\n", []string{"b.test", "c.test"},
			"z: 1\napi_allowlist: [b.test, c.test] # mine\nq: [ a.test ]\n"},
		{"brackets over lines", "api_allowlist: [\n  a.test, # ] not the end\n  'b.test'\n]\nq: 1\n", []string{"a.test"},
			"api_allowlist: [a.test]\nq: 1\n"},
		{"all in brackets", "{é: ü, api_allowlist: [a.test], mode: strict}", []string{"b.test"},
			"{é: ü, api_allowlist: [b.test], mode: strict}"},
		{"empty list", "api_allowlist: []\n", []string{"a.test"}, "api_allowlist: [a.test]\n"},
		{"to none", "api_allowlist:\n- a.test\n", nil, "api_allowlist:\n- nothing.invalid\n"},
		{"from none", "api_allowlist:\n- nothing.invalid\n", []string{"a.test"}, "api_allowlist:\n- a.test\n"},
		{"none stays none", "api_allowlist:\n- nothing.invalid # none\n", nil, ""},
		{"twice the same", "api_allowlist:\n- a.test\n- a.test\n", []string{"b.test"}, "api_allowlist:\n- b.test\n"},
		{"unknown blocks", "new_thing: {listen: x}\napi_allowlist:\n- a.test\nother: |\n  api_allowlist:\n  - a.test\n", []string{"b.test"},
			"new_thing: {listen: x}\napi_allowlist:\n- b.test\nother: |\n  api_allowlist:\n  - a.test\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := config.SetHosts([]byte(test.src), test.hosts)
			if err != nil {
				t.Fatal(err)
			}
			want := test.want
			if want == "" {
				want = test.src
			}
			if string(got) != want {
				t.Errorf("got\n%q, want\n%q", got, want)
			}
		})
	}
}

func TestSetHostsRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		src   string
		hosts []string
	}{
		"no list":           {"a: 1\n", []string{"a.test"}},
		"null":              {"api_allowlist:\n", []string{"a.test"}},
		"a scalar":          {"api_allowlist: a.test\n", []string{"a.test"}},
		"a nested list":     {"api_allowlist:\n- [a.test]\n", []string{"a.test"}},
		"an anchor":         {"api_allowlist: &x\n- a.test\n", []string{"b.test"}},
		"an alias":          {"x: &x [a.test]\napi_allowlist: *x\n", []string{"b.test"}},
		"two lists":         {"api_allowlist: [a.test]\napi_allowlist: [b.test]\n", []string{"b.test"}},
		"two documents":     {"api_allowlist: [a.test]\n---\nb: 1\n", []string{"b.test"}},
		"dash on its own":   {"api_allowlist:\n-\n  a.test\n", []string{"b.test"}},
		"not YAML":          {"api_allowlist: [a.test\n", []string{"b.test"}},
		"not UTF-8":         {"api_allowlist: [a.test]\nx: \xff\n", []string{"b.test"}},
		"a broken host":     {"api_allowlist: [a/b]\n", []string{"b.test"}},
		"a URL":             {"api_allowlist: [a.test]\n", []string{"https://b.test"}},
		"an injected line":  {"api_allowlist:\n- a.test\n", []string{"b.test\nmode: audit"}},
		"an injected quote": {"api_allowlist: [a.test]\n", []string{`b.test"], x: ["`}},
		"a star":            {"api_allowlist: [a.test]\n", []string{"*"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := config.SetHosts([]byte(test.src), test.hosts); err == nil {
				t.Errorf("taken: %q", got)
			}
		})
	}
}

func TestHosts(t *testing.T) {
	got, err := config.Hosts([]byte("x: 1\napi_allowlist: [B.test., a.test, b.test, nothing.invalid, '*.c.test']\n"))
	if want := []string{"b.test", "a.test", "*.c.test"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// FuzzSetHosts proves that an edit either fails, or gives exactly the wanted
// hosts and leaves all lines that name no host.
func FuzzSetHosts(f *testing.F) {
	for _, src := range []string{
		"a: 1\napi_allowlist:\n  - a.test # x\n  # y\n  - b.test\nb: [1]\n",
		"a: 1\napi_allowlist: [a.test, \"b.test\" ] # ]\nb: |\n  - a.test\n",
		"{api_allowlist: ['a.test'], b: \"]\"}\r\n",
		"api_allowlist: !!seq\n- 'a.test'\n- !!str b.test\n",
	} {
		f.Add([]byte(src), "a.test", "c.test")
	}
	f.Fuzz(func(t *testing.T, src []byte, one, two string) {
		if len(src) > 4096 {
			return
		}
		out, err := config.SetHosts(src, []string{one, two})
		if err != nil {
			return
		}
		got, err := config.Hosts(out)
		if err != nil {
			t.Fatalf("%q became %q: %v", src, out, err)
		}
		again, err := config.SetHosts(out, got)
		if err != nil || string(again) != string(out) {
			t.Fatalf("a second edit changed %q to %q (%v)", out, again, err)
		}
		if len(got) > 2 || len(got) == 0 && one != "nothing.invalid" && two != "nothing.invalid" {
			t.Fatalf("%q: hosts %q, wanted %q and %q", out, got, one, two)
		}
		before, _, ok := strings.Cut(string(src), "api_allowlist")
		if ok && strings.Count(string(src), "api_allowlist") == 1 && !strings.HasPrefix(string(out), before+"api_allowlist") {
			t.Fatalf("%q became %q: what stands before the list changed", src, out)
		}
	})
}
