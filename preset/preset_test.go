package preset_test

import (
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
		for _, r := range p.Routes {
			if other, ok := hosts[r.Host]; ok {
				t.Errorf("%s names %s, as %s does", p.Name, r.Host, other)
			}
			hosts[r.Host] = p.Name
			if r.Auth != nil || r.AgentAuth || r.WebSocket || r.Networks != nil || r.Git.APIWrite || strings.Contains(r.Host, "*") {
				t.Errorf("%s opens more than it should: %+v", p.Name, r)
			}
			if len(r.Methods) == 0 || slices.Contains(r.Methods, "PUT") || slices.Contains(r.Methods, "DELETE") {
				t.Errorf("%s: methods of %s: %v", p.Name, r.Host, r.Methods)
			}
			model := p.Name == "anthropic" || p.Name == "openai"
			if slices.Contains(r.Methods, "POST") && !model && !r.Git.Fetch {
				t.Errorf("%s lets %s be written to", p.Name, r.Host)
			}
			if model && r.Pipelock != "passthrough" {
				t.Errorf("%s would break streams of %s", p.Name, r.Host)
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
