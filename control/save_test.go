package control_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/manifest"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/state"
)

// TestSaveKeepsEveryOtherByte: the route is in the file, + marks its lines.
func TestSaveKeepsEveryOtherByte(t *testing.T) {
	granted := routes.Route{Host: "new.test", Methods: []string{"GET"}, Grant: "1m82nkk4btyvtdxjv5", Uses: 1}
	for name, marked := range map[string]string{
		"a list":                     "---\negress:\n  routes:\n    - host: a.test # one\n      ports: [443,\n        8443]\n+    - host: new.test\n+      methods:\n+      - GET\n  # more\nenv: {A: b}\n---\nwords\n",
		"a list on the key's column": "---\negress:\n  routes:\n  - host: a.test\n+  - host: new.test\n+    methods:\n+    - GET\n---\n",
		"wide indents":               "---\negress:\n      presets: [golang]\n      routes:\n            - {host: a.test}\n+            - host: new.test\n+              methods:\n+              - GET\n\n\n---\n",
		"presets alone":              "---\negress:\n  presets:\n    - golang\n+  routes:\n+    - host: new.test\n+      methods:\n+      - GET\npipelock: off\n---\n",
		"no egress":                  "---\nenv:\n  A: b\n+egress:\n+  routes:\n+    - host: new.test\n+      methods:\n+      - GET\n---\n  - host: no.test\n",
		"Windows":                    "---\r\negress:\r\n  routes:\r\n    - host: a.test\r\n+    - host: new.test\r\n+      methods:\r\n+      - GET\r\n---\r\n",
	} {
		var before, after strings.Builder
		for line := range strings.Lines(marked) {
			text, added := strings.CutPrefix(line, "+")
			after.WriteString(text)
			if !added {
				before.WriteString(line)
			}
		}
		home := bottles(t, map[string]string{"b": before.String()})
		s, err := control.Save(home, "b", granted)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.Contains(s.Diff(), "host: new.test") {
			t.Errorf("%s: shown %s", name, s.Diff())
		}
		if got := file(t, home); got != before.String() {
			t.Errorf("%s: written before it was wanted", name)
		}
		if err := s.Write(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := file(t, home); got != after.String() {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, after.String())
		}
		loaded, err := manifest.LoadBottle(home, "b")
		if err != nil || len(loaded.Routes) == 0 || loaded.Routes[len(loaded.Routes)-1].Host != "new.test" {
			t.Errorf("%s: loads as %+v, %v", name, loaded, err)
		}
	}
}

func TestSaveRefuses(t *testing.T) {
	for name, c := range map[string]struct{ file, words string }{
		"a list in brackets":   {"---\negress: {routes: [{host: a.test}]}\n---\n", "by hand"},
		"an empty list":        {"---\negress:\n  routes: []\n---\n", "by hand"},
		"egress of its parent": {"---\nextends: parent\n---\n", "extends"},
		"a preset's host":      {"---\negress:\n  presets: [pypi]\n  routes:\n    - host: a.test\n---\n", "preset pypi"},
	} {
		home := bottles(t, map[string]string{"b": c.file, "parent": "---\negress:\n  routes:\n    - host: a.test\n---\n"})
		route := routes.Route{Host: "new.test"}
		if strings.HasPrefix(name, "a preset") {
			route.Host = "pypi.org"
		}
		if _, err := control.Save(home, "b", route); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
		if file(t, home) != c.file {
			t.Errorf("%s: the file changed", name)
		}
	}
}

func TestSaveLosesNobodysEdit(t *testing.T) {
	const src = "---\negress:\n  routes:\n    - host: a.test\n---\n"
	home := bottles(t, map[string]string{"b": src})
	s, err := control.Save(home, "b", routes.Route{Host: "new.test"})
	if err != nil {
		t.Fatal(err)
	}
	edited := src + "edited\n"
	if err := os.WriteFile(filepath.Join(home.Bottles(), "b.md"), []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(); err == nil || file(t, home) != edited {
		t.Errorf("%v, the file is %q", err, file(t, home))
	}
}

func bottles(t *testing.T, content map[string]string) state.Home {
	t.Helper()
	home := state.Home(t.TempDir())
	if err := home.Ensure(); err != nil {
		t.Fatal(err)
	}
	for name, text := range content {
		if err := os.WriteFile(filepath.Join(home.Bottles(), name+".md"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

func file(t *testing.T, home state.Home) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(home.Bottles(), "b.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
