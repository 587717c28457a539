package preset_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/preset"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

func TestPresetsAreValidAndNarrow(t *testing.T) {
	hosts := make(map[string]string)
	for _, p := range preset.All() {
		if _, err := routes.New(p.Routes); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if p.Doc == "" || strings.Contains(p.Doc, "\n") {
			t.Errorf("%s needs one line of words", p.Name)
		}
		model := p.Name == "anthropic" || p.Name == "openai"
		for _, r := range p.Routes {
			if other, ok := hosts[r.Host]; ok && other != p.Name {
				t.Errorf("%s names %s, as %s does", p.Name, r.Host, other)
			}
			hosts[r.Host] = p.Name
			if r.Auth != nil || r.AgentAuth || r.WebSocket || r.Networks != nil || r.Git.APIWrite || strings.Contains(r.Host, "*") {
				t.Errorf("%s opens more than it should: %+v", p.Name, r)
			}
			reads := slices.Equal(r.Methods, []string{"GET", "HEAD"})
			posts := model && slices.Equal(r.Methods, []string{"POST"})
			if !reads && !posts {
				t.Errorf("%s: methods of %s: %v", p.Name, r.Host, r.Methods)
			}
			if model && (r.Pipelock != routes.Passthrough || len(r.Paths) == 0) {
				t.Errorf("%s would break streams of %s, or opens all of it", p.Name, r.Host)
			}
		}
	}
	for _, name := range []string{"anthropic", "openai", "github", "npm", "pypi", "golang", "debian"} {
		if p, err := preset.Lookup(name); err != nil || p.Name != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := preset.Lookup("pipy"); err == nil || !strings.Contains(err.Error(), `did you mean "pypi"?`) {
		t.Errorf("misspelt: %v", err)
	}
	if _, err := preset.Lookup("kubernetes"); err == nil || !strings.Contains(err.Error(), "there are anthropic, openai") {
		t.Errorf("unknown: %v", err)
	}
}

// TestDocumentTellsAll: docs/presets.md has a section for each preset, with its
// line of words and a row for each route, and nothing else.
func TestDocumentTellsAll(t *testing.T) {
	src, err := os.ReadFile("../docs/presets.md")
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string][]string)
	name := ""
	for line := range strings.Lines(string(src)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "## "):
			name = line[3:]
			told[name] = []string{}
		case name != "" && strings.HasPrefix(line, "| `"):
			told[name] = append(told[name], line)
		}
	}
	for _, p := range preset.All() {
		if got, want := told[p.Name], rows(p); !slices.Equal(got, want) {
			t.Errorf("%s:\ngot\n%s\nwant\n%s", p.Name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if words := strings.ToUpper(p.Doc[:1]) + p.Doc[1:] + "."; !strings.Contains(string(src), "\n## "+p.Name+"\n\n"+words+"\n") {
			t.Errorf("%s does not begin with %q", p.Name, words)
		}
		delete(told, p.Name)
	}
	if len(told) > 0 {
		t.Errorf("not presets: %v", told)
	}
}

// rows are the rows of a preset's table.
func rows(p preset.Preset) []string {
	var all []string
	for _, r := range p.Routes {
		paths := "all"
		if len(r.Paths) > 0 {
			paths = "`" + strings.Join(r.Paths, "`, `") + "`"
		}
		var besides []string
		if slices.Contains(r.Ports, 80) {
			besides = append(besides, "port 80 too")
		}
		if r.EncodedSlash {
			besides = append(besides, "`%2f` in a path is a slash")
		}
		if r.Git.Fetch {
			besides = append(besides, "git fetch")
		}
		if r.Pipelock != routes.Passthrough {
			besides = append(besides, "read by pipelock")
		}
		last := "|"
		if len(besides) > 0 {
			last = strings.Join(besides, ", ") + " |"
		}
		all = append(all, fmt.Sprintf("| `%s` | %s | %s | %s", r.Host, strings.Join(r.Methods, ", "), paths, last))
	}
	return all
}
