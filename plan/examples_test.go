package plan_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/examples"
	"github.com/claude-bottle/claude-bottle/plan"
)

// TestExamples plans every example, so that none of them rots.
func TestExamples(t *testing.T) {
	paths, err := filepath.Glob("../examples/*.md")
	if err != nil || len(paths) < 3 {
		t.Fatal(paths, err)
	}
	key, _ := keyPair(t, "")
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".md")
		s := newSetting(t, map[string]string{
			"home/bottles/shell.md":        string(examples.Shell),
			"home/bottles/" + name + ".md": string(content),
			"user/.ssh/widgets-deploy-key": key,
		})
		for _, name := range []string{"ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GITHUB_TOKEN", "FORGE_TOKEN"} {
			s.shell[name] = "planted-" + name
		}
		s.shell["DATABASE_URL"] = "postgres://localhost/test"
		s.options.Bottle = name
		s.options.Ask = func(context.Context, string) (string, error) { return "ABC-1", nil }
		p := s.prepare(t)
		if err := p.Write(s.options.Home); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(p.Hosts) < 2 || len(p.Command) == 0 {
			t.Errorf("%s: %+v", name, p)
		}
		for _, v := range p.AgentEnv {
			if strings.Contains(v, "planted") {
				t.Errorf("%s gives the agent the key: %s", name, v)
			}
		}
	}
}

// TestShellExampleNeedsNothing: what `bottle init` writes starts in any shell.
func TestShellExampleNeedsNothing(t *testing.T) {
	s := newSetting(t, map[string]string{"home/bottles/shell.md": string(examples.Shell)})
	s.options.Lookup = func(string) (string, bool) { return "", false }
	if _, err := plan.Prepare(t.Context(), s.options); err != nil {
		t.Error(err)
	}
}

func BenchmarkPrepareAndWrite(b *testing.B) {
	s := newSetting(b, map[string]string{"home/bottles/shell.md": string(examples.Shell)})
	for b.Loop() {
		p := s.prepare(b)
		if err := p.Write(s.options.Home); err != nil {
			b.Fatal(err)
		}
	}
}
