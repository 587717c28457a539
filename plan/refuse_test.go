package plan_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/plan"
)

func TestRefuses(t *testing.T) {
	locked, public := keyPair(t, "hunter2")
	route := func(extra string) string {
		return "egress: {routes: [{host: a.example, auth: {scheme: Bearer, token_ref: TOKEN}}]}\n" + extra
	}
	repo := func(identity string) string {
		return "git-gate:\n  repos:\n    w: {url: \"git@forge.test:w\", identity: " + identity + ", host_key: forge.test " + public + "}\n"
	}
	for name, test := range map[string]struct {
		bottle string
		shell  map[string]string
		want   string
	}{
		"control":            {route(""), map[string]string{"TOKEN": "hunter2-hunter2"}, ""},
		"token unset":        {route(""), nil, "work.md:2: the route for a.example: the host variable TOKEN of token_ref is not set"},
		"token empty":        {route(""), map[string]string{"TOKEN": ""}, "is not set"},
		"token short":        {route(""), map[string]string{"TOKEN": "hunter2"}, "fewer than 8 characters"},
		"token with newline": {route(""), map[string]string{"TOKEN": "hunter2-hunter2\n"}, "holds a space or control character"},
		"repo token unset":   {"git-gate: {repos: {w: {url: https://forge.test/w, token_ref: FORGE}}}\n", nil, "git-gate.repos.w: the host variable FORGE"},
		"env unset":          {"env: {A: \"${HOSTED}\"}\n", nil, "work.md:2: env.A: the host variable HOSTED is not set"},
		"env question":       {"env: {A: ?Who}\n", nil, `work.md:2: env.A: asks "Who", and there is no terminal`},
		"env NUL":            {"env: {A: \"${HOSTED}\"}\n", map[string]string{"HOSTED": "hunter2\x00"}, "NUL byte"},
		"env reserved":       {"env: {https_proxy: http://x}\n", nil, "work.md:2: env.https_proxy: the bottle sets this variable itself"},
		"token given back":   {route("env: {A: \"${TOKEN}\"}\n"), map[string]string{"TOKEN": "hunter2-hunter2"}, "env.A: would give the agent the value of TOKEN"},
		"token in a literal": {route("env: {A: x-hunter2-hunter2-x}\n"), map[string]string{"TOKEN": "hunter2-hunter2"}, "env.A: would give the agent the value of TOKEN"},
		"token in a command": {route("agent: {command: [curl, -H, \"X: hunter2-hunter2\"]}\n"), map[string]string{"TOKEN": "hunter2-hunter2"}, "the command line holds a secret value"},
		"token in git's":     {route("git-gate: {user: {name: hunter2-hunter2}}\n"), map[string]string{"TOKEN": "hunter2-hunter2"}, "/etc/gitconfig would hold the value of TOKEN"},
		"key missing":        {repo("/nonexistent/key"), nil, "git-gate.repos.w: identity: open /nonexistent/key"},
		"key relative":       {repo("key"), nil, "give the whole path"},
		"key in workspace":   {repo("~/../workspace/key"), nil, "lies in the workspace"},
		"key with password":  {repo("~/locked"), nil, "is protected by a passphrase"},
		"key of nonsense":    {repo("~/nonsense"), nil, "is no private key that can be read"},
		"host in two ways":   {"egress: {routes: [{host: \"*.com\"}]}\n", nil, "work.md:2: "},
		"pipelock required":  {"pipelock: required\n", nil, "the bottle file requires it: not installed"},
	} {
		s := newSetting(t, map[string]string{"home/bottles/work.md": "---\n" + test.bottle + "---\n", "user/locked": locked, "user/nonsense": "hunter2", "workspace/key": locked})
		for key, value := range test.shell {
			s.shell[key] = value
		}
		_, err := plan.Prepare(t.Context(), s.options)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s:\ngot  %v\nwant %s", name, err, test.want)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
}

func TestAllMissingVariablesAreToldAtOnce(t *testing.T) {
	s := newSetting(t, map[string]string{"home/bottles/work.md": `---
egress:
  routes:
    - {host: a.example, auth: {token_ref: FIRST}}
    - {host: b.example, auth: {token_ref: SECOND}}
git-gate: {repos: {w: {url: "https://forge.test/w", token_ref: THIRD}}}
---
`})
	_, err := plan.Prepare(t.Context(), s.options)
	for _, name := range []string{"FIRST", "SECOND", "THIRD"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not told: %v", name, err)
		}
	}
}

func TestFailedQuestionEndsIt(t *testing.T) {
	s := newSetting(t, map[string]string{"home/bottles/work.md": "---\nenv: {A: ?Who}\n---\n"})
	broken := errors.New("interrupted")
	s.options.Ask = func(context.Context, string) (string, error) { return "", broken }
	if _, err := plan.Prepare(t.Context(), s.options); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestPipelock(t *testing.T) {
	const content = "the firewall"
	const digest = "cd4a4a3b1fa4b5a2f9a2b0d6ad0a2a9b1c9e9c64f6f4d28b2f4bd7e0f8f4a7c1"
	for _, test := range []struct {
		mode, pin          string
		installed          bool
		state, note, fails string
	}{
		{"auto", "right", true, "on", "", ""},
		{"required", "right", true, "on", "", ""},
		{"off", "right", true, "off", "turned off by the bottle file", ""},
		{"off", "wrong", true, "off", "turned off by the bottle file", ""},
		{"auto", "right", false, "off", "not installed at", ""},
		{"required", "right", false, "", "", "requires it: not installed"},
		{"auto", "wrong", true, "", "", "not the pinned " + digest},
		{"required", "wrong", true, "", "", "not the pinned " + digest},
		{"auto", "", true, "off", "accepts no pipelock binary", ""},
		{"required", "", true, "", "", "accepts no pipelock binary"},
	} {
		s := newSetting(t, map[string]string{"home/bottles/work.md": fmt.Sprintf("---\npipelock: %s\negress: {routes: [{host: a.example}]}\n---\n", test.mode)})
		if test.installed {
			s.shell["PIPELOCK_BIN"] = s.write(t, "pipelock", content)
		}
		switch test.pin {
		case "right":
			s.options.PipelockSHA256 = sha256Hex(content)
		case "wrong":
			s.options.PipelockSHA256 = digest
		}
		p, err := plan.Prepare(t.Context(), s.options)
		if test.fails != "" {
			if err == nil || !strings.Contains(err.Error(), test.fails) {
				t.Errorf("%+v: %v", test, err)
			}
			continue
		}
		if err != nil || p.Pipelock != test.state || !strings.Contains(p.PipelockNote, test.note) {
			t.Errorf("%+v: %+v %v", test, p, err)
			continue
		}
		if test.state != "on" {
			continue
		}
		if strings.Join(p.Daemons, " ") != "egress pipelock supervise" || p.PipelockSHA256 != sha256Hex(content) || p.PipelockBin != s.shell["PIPELOCK_BIN"] {
			t.Errorf("%+v: %+v", test, p)
		}
		if !strings.Contains(string(input(t, p, "pipelock.yaml")), "a.example") {
			t.Errorf("%s", input(t, p, "pipelock.yaml"))
		}
	}
}

func TestShellPinsPipelock(t *testing.T) {
	s := newSetting(t, nil)
	s.shell["PIPELOCK_BIN"] = s.write(t, "pipelock", "another build")
	s.shell["PIPELOCK_SHA256"] = strings.ToUpper(sha256Hex("another build"))
	s.options.PipelockSHA256 = sha256Hex("the baked one")
	if p := s.prepare(t); p.Pipelock != "on" {
		t.Errorf("%+v", p)
	}
}

func TestSkillsAreCopiedNotFollowed(t *testing.T) {
	s := newSetting(t, map[string]string{
		"home/agents/x.md":            "---\nskills: [review]\n---\n",
		"home/skills/review/SKILL.md": "# Review\n",
		"outside":                     "the operator's own",
	})
	s.options.Agent = "x"
	s.prepare(t)
	link := filepath.Join(string(s.options.Home), "skills", "review", "link")
	if err := os.Symlink(filepath.Join(s.dir, "outside"), link); err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Prepare(t.Context(), s.options); err == nil || !strings.Contains(err.Error(), "link is no regular file") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	s.write(t, "home/skills/review/large", strings.Repeat("x", 9<<20))
	if _, err := plan.Prepare(t.Context(), s.options); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("got %v", err)
	}
}
