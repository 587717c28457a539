package plan_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/state"
)

var backendWord = regexp.MustCompile(`(?i)\b(namespaces?|docker|smolmachines)\b`)

const empty = "---\n---\n"

func TestChoosesBottle(t *testing.T) {
	const a, b, d = "home/bottles/a.md", "home/bottles/b.md", "home/bottles/default.md"
	for name, test := range map[string]struct {
		files         []string
		agent, flag   string
		bottle, named string
	}{
		"nothing at all":          {nil, "", "", "default", "default"},
		"the only one":            {[]string{a}, "", "", "a", "a"},
		"the default one":         {[]string{a, b, d}, "", "", "default", "default"},
		"the flag":                {[]string{a, b, d}, "", "b", "b", "b"},
		"the agent's":             {[]string{a, b, d, "home/agents/x.md"}, "x", "", "b", "x"},
		"the flag over agent's":   {[]string{a, b, d, "home/agents/x.md"}, "x", "a", "a", "x"},
		"a bottle as agent":       {[]string{a, b}, "a", "", "a", "a"},
		"home bottle before repo": {[]string{a, b, "workspace/.claude-bottle/agents/a.md"}, "a", "", "a", "a"},
		"repo agent, flag":        {[]string{a, b, "workspace/.claude-bottle/agents/x.md"}, "x", "a", "a", "x"},
	} {
		s := newSetting(t, nil)
		for _, file := range test.files {
			content := empty
			if strings.Contains(file, "agents") {
				content = "---\nbottle: b\n---\n"
			}
			s.write(t, file, content)
		}
		s.options.Agent, s.options.Bottle = test.agent, test.flag
		p, err := plan.Prepare(t.Context(), s.options)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if p.Bottle != test.bottle || p.Agent != test.named {
			t.Errorf("%s: bottle %s, agent %s", name, p.Bottle, p.Agent)
		}
	}
}

func TestChoosingFails(t *testing.T) {
	s := newSetting(t, map[string]string{"home/bottles/alpha.md": empty, "home/bottles/beta.md": empty, "home/agents/x.md": "---\nbottle: gone\n---\n"})
	for _, test := range []struct{ agent, flag, want string }{
		{"", "", "which bottle? Name one with --bottle, or call one default.md; there are alpha, beta"},
		{"", "alhpa", `did you mean "alpha"?`},
		{"", "default", "no bottle file default.md"},
		{"alhpa", "", `did you mean "alpha"?`},
		{"x", "", "no bottle file gone.md"},
		{"", "../x", "is not the name of a bottle file"},
	} {
		s.options.Agent, s.options.Bottle = test.agent, test.flag
		if _, err := plan.Prepare(t.Context(), s.options); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

func TestRepositoryAgentDoesNotChooseItsBottle(t *testing.T) {
	s := newSetting(t, map[string]string{
		"home/bottles/open.md": empty, "home/bottles/default.md": empty,
		"workspace/.claude-bottle/agents/pick.md":    "---\nbottle: open\n---\n",
		"workspace/.claude-bottle/agents/modest.md":  "Only a prompt.\n",
		"workspace/.claude-bottle/agents/skilled.md": "---\nskills: [mine]\n---\n",
		"user/.claude/skills/mine/SKILL.md":          "private\n",
	})
	s.options.Agent = "pick"
	answers := map[string]func(context.Context, string) (bool, error){
		"no terminal": nil,
		"no":          func(context.Context, string) (bool, error) { return false, nil },
		"broken":      func(context.Context, string) (bool, error) { return true, errors.New("closed") },
	}
	for name, answer := range answers {
		s.options.Confirm = answer
		_, err := plan.Prepare(t.Context(), s.options)
		refused, ok := errors.AsType[*plan.RepositoryBottleError](err)
		if !ok || refused.Bottle != "open" || !strings.Contains(err.Error(), "--bottle open pick") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.options.Confirm = func(context.Context, string) (bool, error) { return true, nil }
	if p := s.prepare(t); p.Bottle != "open" {
		t.Errorf("after a yes: %s", p.Bottle)
	}
	s.options.Confirm, s.options.Agent = nil, "modest"
	if p := s.prepare(t); p.Bottle != "default" {
		t.Errorf("an agent without a wish: %s", p.Bottle)
	}
	s.options.Agent = "skilled"
	if _, err := plan.Prepare(t.Context(), s.options); err == nil || !strings.Contains(err.Error(), "skill mine") {
		t.Errorf("a repository's agent took a skill of the operator's own folder: %v", err)
	}
	s.write(t, "home/agents/trusted.md", "---\nskills: [mine]\n---\n")
	s.options.Agent = "trusted"
	s.prepare(t)
}

func TestWorkspace(t *testing.T) {
	s := newSetting(t, map[string]string{"workspace/file": ""})
	if err := os.Symlink(s.dir, filepath.Join(s.dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ workspace, want string }{
		{s.dir, "lie one in the other"},
		{filepath.Join(s.dir, "link"), "lie one in the other"},
		{"/", "lie one in the other"},
		{string(s.options.Home), "lie one in the other"},
		{s.options.Home.Bottles(), "lie one in the other"},
		{filepath.Join(s.dir, "link", "home", "agents"), "lie one in the other"},
		{filepath.Join(s.dir, "missing"), "no such file"},
		{filepath.Join(s.dir, "workspace", "file"), "is no folder"},
	} {
		o := s.options
		o.Workspace = test.workspace
		if _, err := plan.Prepare(t.Context(), o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.workspace, err)
		}
	}
	s.options.Workspace = filepath.Join(s.dir, "link", "workspace")
	if p := s.prepare(t); p.Workspace != realPath(t, filepath.Join(s.dir, "workspace")) {
		t.Errorf("the workspace is %s", p.Workspace)
	}
	t.Chdir(filepath.Join(s.dir, "workspace"))
	s.options.Workspace = ""
	if p := s.prepare(t); p.Workspace != realPath(t, ".") {
		t.Errorf("the current folder is %s", p.Workspace)
	}
}

func realPath(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSlugAndCommand(t *testing.T) {
	s := newSetting(t, map[string]string{"home/bottles/a.md": "---\nagent: {command: [claude, -c]}\n---\n", "home/bottles/b.md": empty})
	for _, test := range []struct {
		bottle  string
		command []string
		want    string
	}{
		{"a", []string{"ls", "-l"}, "ls -l"},
		{"a", nil, "claude -c"},
		{"b", nil, "/bin/sh -c if command -v bash >/dev/null; then exec bash -l; else exec sh -l; fi"},
	} {
		s.options.Bottle, s.options.Command = test.bottle, test.command
		if p := s.prepare(t); strings.Join(p.Command, " ") != test.want {
			t.Errorf("%+v: %q", test, p.Command)
		}
	}
	s.options.Label = "mine"
	p := s.prepare(t)
	if p.Slug != "mine" {
		t.Errorf("slug %s", p.Slug)
	}
	if err := p.Write(s.options.Home); err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Prepare(t.Context(), s.options); !errors.Is(err, state.ErrExists) {
		t.Errorf("a second bottle of the name: %v", err)
	}
	s.options.Label = "../mine"
	if _, err := plan.Prepare(t.Context(), s.options); err == nil {
		t.Error("a label that leads elsewhere passed")
	}
}

func TestDefaultBottleReachesNothing(t *testing.T) {
	p := newSetting(t, nil).prepare(t)
	if len(p.Hosts) != 0 || len(p.Repos) != 0 || !slices.Equal(p.Daemons, []string{"egress", "supervise"}) {
		t.Errorf("%+v", p)
	}
}

func TestOwnRoutesComeFirstAndAddToPresets(t *testing.T) {
	s := newSetting(t, map[string]string{"home/bottles/a.md": `---
egress:
  presets: [debian, npm, npm, openai]
  routes:
    - {host: first.example}
    - {host: REGISTRY.npmjs.org., methods: [PUT]}
    - {host: registry.npmjs.org, paths: [/left-pad], pipelock: inspect}
    - {host: deb.debian.org, auth: {token_ref: TOKEN}}
    - {host: api.openai.com, paths: [/v1/files]}
---
`})
	s.shell["TOKEN"] = "planted-token"
	table, err := routes.Parse(input(t, s.prepare(t), "routes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range table.Routes() {
		got = append(got, fmt.Sprint(r.Host, " ", r.Ports, " ", r.Methods, " ", r.Paths, " ", r.Pipelock))
	}
	want := []string{
		"first.example [443] [] [] inspect",
		"registry.npmjs.org [443] [PUT] [] passthrough",
		"registry.npmjs.org [443] [GET HEAD] [/left-pad] inspect",
		"deb.debian.org [443] [GET HEAD] [/debian /debian-security /debian-debug] passthrough", // no credential over port 80
		"api.openai.com [443] [POST] [/v1/files] passthrough",                                  // once for each of the preset's
		"api.openai.com [443] [GET HEAD] [/v1/files] passthrough",
		"security.debian.org [80 443] [GET HEAD] [/debian-security] passthrough",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
