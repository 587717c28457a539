package manifest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/claude-bottle/claude-bottle/manifest"
	"github.com/claude-bottle/claude-bottle/state"
)

// newHome makes a home folder with these files, "bottles/x.md" → content.
func newHome(t testing.TB, files map[string]string) state.Home {
	t.Helper()
	home := state.Home(filepath.Join(t.TempDir(), "home"))
	if err := home.Ensure(); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, string(home), files)
	return home
}

func writeFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const whole = `---
env:
  LITERAL: text
  NUMBER: 010
  ASKED: ?Which ticket
  HOSTED: ${GITHUB_USER}
agent:
  image: debian:12
  command: [claude, --continue]
egress:
  presets: [npm]
  routes:
    - host: api.example.com
      ports: [443, 8443]
      methods: [GET]
      paths: [/v1]
      auth: {scheme: Bearer, token_ref: API_TOKEN}
      networks: [10.0.0.0/8]
    - host: "*.example.org"
      websocket: true
git-gate:
  user: {name: Ann, email: ann@example.com}
  repos:
    widgets:
      url: https://forge.test/acme/widgets.git
      token_ref: FORGE_TOKEN
      push: ["refs/heads/ann/*"]
      force: true
      ci_paths: deny
supervise: off
pipelock: off
backend: namespace
---
Notes that nobody reads.
`

func TestLoadBottle(t *testing.T) {
	for name, src := range map[string]string{"unix": whole, "dos": "\ufeff" + strings.ReplaceAll(whole, "\n", "\r\n")} {
		home := newHome(t, map[string]string{"bottles/whole.md": src})
		b, err := manifest.LoadBottle(home, "whole")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for key, want := range map[string]struct {
			form manifest.Form
			text string
		}{
			"LITERAL": {manifest.Literal, "text"}, "NUMBER": {manifest.Literal, "010"},
			"ASKED": {manifest.Question, "Which ticket"}, "HOSTED": {manifest.HostVar, "GITHUB_USER"},
		} {
			if v := b.Env[key]; v.Form != want.form || v.Text != want.text {
				t.Errorf("%s: env.%s is %+v", name, key, v)
			}
		}
		if b.Supervise || b.Pipelock != "off" || b.Backend != "namespace" || b.Image != "debian:12" || len(b.Command) != 2 || b.GitUser.Name != "Ann" {
			t.Errorf("%s: %+v", name, b)
		}
		if r := b.Routes[0]; len(b.Routes) != 2 || r.Host != "api.example.com" || r.Auth.TokenRef != "API_TOKEN" || !strings.HasSuffix(r.Where, "whole.md:13: the route for api.example.com") {
			t.Errorf("%s: %+v", name, b.Routes)
		}
		if r := b.Repos["widgets"]; r.TokenRef != "FORGE_TOKEN" || !r.Force || r.CIPaths != "deny" || !reflect.DeepEqual(r.Push, []string{"refs/heads/ann/*"}) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestDefaults(t *testing.T) {
	home := newHome(t, map[string]string{"bottles/empty.md": "---\n---\n"})
	b, err := manifest.LoadBottle(home, "empty")
	if err != nil {
		t.Fatal(err)
	}
	if !b.Supervise || b.Pipelock != "auto" || len(b.Routes)+len(b.Repos)+len(b.Env)+len(b.Presets) != 0 {
		t.Errorf("%+v", b)
	}
}

func TestErrorsNameFileAndLine(t *testing.T) {
	for _, test := range []struct{ src, want string }{
		{"no front matter", `bottles/x.md:1: a bottle file begins with YAML`},
		{"---\nenv: {}\n", `bottles/x.md:1: the front matter has no end`},
		{"---\nengress: {}\n---\n", `bottles/x.md:2: unknown key "engress"; did you mean "egress"?`},
		{"---\negress:\n  routes:\n    - host: a.example\n      porst: [1]\n---\n", `bottles/x.md:5: unknown key "porst"; did you mean "ports"?`},
		{"---\negress:\n  routes:\n    - host: a.example\n      auth: {token_env: X}\n---\n", `bottles/x.md:5: unknown key "token_env"; did you mean "token_ref"?`},
		{"---\negress:\n  routes:\n    - host: a.example\n      uses: 1\n---\n", `bottles/x.md:5: unknown key "uses"`},
		{"---\negress:\n  routes:\n    - host: a.example\n      grant: x\n---\n", `bottles/x.md:5: unknown key "grant"`},
		{"---\negress:\n  routes:\n    - host: b.example\n    - host: http://a.example\n---\n", `bottles/x.md:5: `},
		{"---\negress:\n  routes:\n    - host: a.example\n      ports: [80]\n      auth: {scheme: Bearer, token_ref: X}\n---\n", `bottles/x.md:4: `},
		{"---\negress:\n  routes:\n    - host: a.example\n      auth: {scheme: Bearer}\n---\n", `bottles/x.md:4: auth: token_ref is missing`},
		{"---\negress:\n  routes:\n    - host: a.example\n      auth: {scheme: Bearer, token_ref: a-b}\n---\n", `bottles/x.md:4: auth: token_ref`},
		{"---\negress:\n  presets: [npm, githbu]\n---\n", `bottles/x.md:3: unknown preset "githbu"; did you mean "github"?`},
		{"---\nenv:\n  A: b\n  B-C: d\n---\n", `bottles/x.md:4: env: "B-C" cannot be the name`},
		{"---\nenv:\n  A: pre-${B}\n---\n", `bottles/x.md:3: env: a host variable is the whole value`},
		{"---\nenv:\n  A: ${B-C}\n---\n", `bottles/x.md:3: env: a host variable is the whole value`},
		{"---\nenv:\n  A: \"?\"\n---\n", `bottles/x.md:3: env: a question needs its text`},
		{"---\nenv:\n  A: [b]\n---\n", `bottles/x.md:3: `},
		{"---\nenv:\n  A: b\n  A: c\n---\n", `bottles/x.md:4: mapping key "A" already defined`},
		{"---\ngit-gate:\n  repos:\n    w:\n      url: https://forge.test/w\n      froce: true\n---\n", `bottles/x.md:6: unknown key "froce"; did you mean "force"?`},
		{"---\ngit-gate:\n  repos:\n    w:\n      url: git@forge.test:w\n      identity: ~/k\n---\n", `bottles/x.md:5: git-gate: repos.w: host_key is missing`},
		{"---\ngit-gate:\n  repos:\n    ../w:\n      url: https://forge.test/w\n---\n", `bottles/x.md:5: `},
		{"---\npipelock: sometimes\n---\n", `bottles/x.md:2: pipelock: "sometimes" is none of auto, required, off`},
		{"---\nbackend: vm\n---\n", `bottles/x.md:2: backend: "vm" is none of`},
		{"---\nagent:\n  command: []\n---\n", `agent.command: is empty`},
		{"---\nsupervise: maybe\n---\n", `bottles/x.md:2: `},
		{"---\n- a list\n---\n", `bottles/x.md:2: `},
		{"---\nenv: {A: \"\x00\"}\n---\n", "not a text in UTF-8"},
		{"---\nenv: {A: \"\xff\"}\n---\n", "not a text in UTF-8"},
		{"---\n" + strings.Repeat("# long\n", 40000) + "---\n", "is larger than"},
	} {
		home := newHome(t, map[string]string{"bottles/x.md": test.src})
		_, err := manifest.LoadBottle(home, "x")
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.80q:\ngot  %v\nwant %s", test.src, err, test.want)
		}
	}
}

func TestExtends(t *testing.T) {
	bottle := func(yaml string) string { return "---\n" + yaml + "---\n" }
	home := newHome(t, map[string]string{
		"bottles/base.md":    bottle("env: {A: base, B: base}\negress: {presets: [npm], routes: [{host: base.example}]}\ngit-gate: {user: {name: Base}, repos: {r: {url: https://forge.test/base}}}\npipelock: off\n"),
		"bottles/other.md":   bottle("env: {B: other, C: other}\negress: {routes: [{host: other.example}]}\nsupervise: false\nagent: {command: [other]}\n"),
		"bottles/child.md":   bottle("extends: base\nenv: {A: child}\n"),
		"bottles/both.md":    bottle("extends: [base, other]\n"),
		"bottles/again.md":   bottle("extends: [other, base]\nsupervise: true\negress: {}\ngit-gate: {repos: {}}\n"),
		"bottles/diamond.md": bottle("extends: [child, both]\n"),
	})
	for _, test := range []struct {
		name, env, hosts, presets string
		supervise                 bool
		repos                     int
	}{
		{"child", "A=child B=base", "base.example", "npm", true, 1},
		{"both", "A=base B=other C=other", "other.example", "", false, 1},
		{"again", "A=base B=base C=other", "", "", true, 0},
		{"diamond", "A=base B=other C=other", "other.example", "", false, 1},
	} {
		b, err := manifest.LoadBottle(home, test.name)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		var env, hosts []string
		for _, key := range []string{"A", "B", "C"} {
			if v, ok := b.Env[key]; ok {
				env = append(env, key+"="+v.Text)
			}
		}
		for _, r := range b.Routes {
			hosts = append(hosts, r.Host)
		}
		if got := strings.Join(env, " "); got != test.env {
			t.Errorf("%s: env %s, want %s", test.name, got, test.env)
		}
		if got := strings.Join(hosts, " "); got != test.hosts || strings.Join(b.Presets, " ") != test.presets {
			t.Errorf("%s: hosts %s, presets %v", test.name, got, b.Presets)
		}
		if b.Supervise != test.supervise || len(b.Repos) != test.repos || b.GitUser.Name != "Base" || b.Pipelock != "off" || b.Name != test.name {
			t.Errorf("%s: %+v", test.name, b)
		}
	}
}

func TestExtendsRefuses(t *testing.T) {
	files := map[string]string{
		"bottles/a.md":      "---\nextends: b\n---\n",
		"bottles/b.md":      "---\nextends: [c]\n---\n",
		"bottles/c.md":      "---\nextends: a\n---\n",
		"bottles/self.md":   "---\nextends: self\n---\n",
		"bottles/orphan.md": "---\nextends: shel\n---\n",
		"bottles/shell.md":  "---\n---\n",
		"bottles/up.md":     "---\nextends: ../agents/x\n---\n",
	}
	for i := range 20 {
		files[fmt.Sprintf("bottles/deep%d.md", i)] = fmt.Sprintf("---\nextends: deep%d\n---\n", i+1)
	}
	home := newHome(t, files)
	for name, want := range map[string]string{
		"a":      filepath.Join(home.Bottles(), "c.md") + ":2: extends: bottle files extend each other in a circle: a → b → c → a",
		"self":   "in a circle: self → self",
		"orphan": filepath.Join(home.Bottles(), "orphan.md") + `:2: extends: no bottle file shel.md in ` + home.Bottles() + `; did you mean "shell"?`,
		"up":     "is not the name of a bottle file",
		"deep0":  "more than 16 deep",
		"../x":   "is not the name of a bottle file",
		"":       "is not the name of a bottle file",
	} {
		_, err := manifest.LoadBottle(home, name)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

const agentText = "---\nbottle: work\nskills: [review]\ngit-gate: {user: {name: Ann, email: a@b.c}}\n---\nYou review.\n\n---\nStill the prompt.\n"

func TestLoadAgent(t *testing.T) {
	home := newHome(t, map[string]string{
		"agents/both.md":   agentText,
		"agents/prompt.md": "Only a prompt.\n",
	})
	workspace := t.TempDir()
	writeFiles(t, workspace, map[string]string{
		".claude-bottle/agents/both.md":    "---\nbottle: stolen\n---\n",
		".claude-bottle/agents/theirs.md":  "---\nbottle: wish\n---\nTheirs.\n",
		".claude-bottle/bottles/theirs.md": "---\n---\n",
	})
	a, err := manifest.LoadAgent(home, workspace, "both")
	if err != nil || a.Repository || a.Bottle != "work" || a.GitUser.Name != "Ann" || a.Prompt != "You review.\n\n---\nStill the prompt." {
		t.Errorf("home wins on a clash: %+v, %v", a, err)
	}
	a, err = manifest.LoadAgent(home, workspace, "prompt")
	if err != nil || a.Prompt != "Only a prompt." || a.Bottle != "" {
		t.Errorf("without front matter: %+v, %v", a, err)
	}
	a, err = manifest.LoadAgent(home, workspace, "theirs")
	if err != nil || !a.Repository || a.Bottle != "wish" || a.Prompt != "Theirs." {
		t.Errorf("the working folder's: %+v, %v", a, err)
	}
	var missing *manifest.NotFoundError
	if _, err = manifest.LoadAgent(home, workspace, "promt"); !errors.As(err, &missing) || !strings.Contains(err.Error(), `did you mean "prompt"?`) {
		t.Errorf("missing: %v", err)
	}
	if _, err := manifest.LoadBottle(home, "theirs"); !errors.As(err, &missing) {
		t.Errorf("a bottle file of the working folder was read: %v", err)
	}
	if names, err := manifest.Agents(home, workspace); err != nil || !reflect.DeepEqual(names, []string{"both", "prompt", "theirs"}) {
		t.Errorf("listed %v, %v", names, err)
	}
}

func TestAgentErrors(t *testing.T) {
	for _, test := range []struct{ src, want string }{
		{"---\nbotle: x\n---\n", `agents/x.md:2: unknown key "botle"; did you mean "bottle"?`},
		{"---\nbottle: ../x\n---\n", "is not the name of a bottle file"},
		{"---\nskills: [a/b]\n---\n", "is not the name of a skill"},
		{"---\nskills: [..]\n---\n", "is not the name of a skill"},
		{"---\nskills: [/etc]\n---\n", "is not the name of a skill"},
		{"---\ngit-gate: {repos: {}}\n---\n", `agents/x.md:2: unknown key "repos"`},
		{"---\nenv: {A: b}\n---\n", `agents/x.md:2: unknown key "env"`},
		{"---\ngit-gate: {user: {name: \"a\\nb\"}}\n---\n", "control character"},
	} {
		home := newHome(t, map[string]string{"agents/x.md": test.src})
		if _, err := manifest.LoadAgent(home, "", "x"); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got %v, want %s", test.src, err, test.want)
		}
	}
}

func TestRepositoryAgentLeadsNowhereElse(t *testing.T) {
	home := newHome(t, nil)
	outside := filepath.Join(t.TempDir(), "outside.md")
	writeFiles(t, filepath.Dir(outside), map[string]string{"outside.md": "secret of the operator"})
	workspace := t.TempDir()
	agents := filepath.Join(workspace, ".claude-bottle", "agents")
	writeFiles(t, workspace, map[string]string{".claude-bottle/agents/fine.md": "fine", "docs/inner.md": "inner"})
	for name, target := range map[string]string{"absolute.md": outside, "inner.md": "../../docs/inner.md"} {
		if err := os.Symlink(target, filepath.Join(agents, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(agents, "pipe.md"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"fine": true, "inner": true, "absolute": false, "pipe": false} {
		if a, err := manifest.LoadAgent(home, workspace, name); (err == nil) != want {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	for _, name := range []string{"../../x", "a/b", ".hidden", "-x"} {
		if _, err := manifest.LoadAgent(home, workspace, name); err == nil {
			t.Errorf("%q was read", name)
		}
	}
}
