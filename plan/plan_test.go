package plan_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/preset"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	gitgate "github.com/claude-bottle/claude-bottle/roles/gitgate/config"
	"github.com/claude-bottle/claude-bottle/state"
)

// setting is an operator's machine: a home folder, a workspace, a shell.
type setting struct {
	options plan.Options
	dir     string
	shell   map[string]string
}

func newSetting(t testing.TB, files map[string]string) *setting {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("HOME", filepath.Join(dir, "user"))
	s := &setting{dir: dir, shell: map[string]string{"HOME": filepath.Join(dir, "user"), "PIPELOCK_BIN": filepath.Join(dir, "no-pipelock")}}
	s.options = plan.Options{
		Home:      state.Home(filepath.Join(dir, "home")),
		Workspace: filepath.Join(dir, "workspace"),
		Lookup:    func(name string) (string, bool) { v, ok := s.shell[name]; return v, ok },
	}
	if err := errors.Join(s.options.Home.Ensure(), os.Mkdir(s.options.Workspace, 0o700)); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		s.write(t, name, content)
	}
	return s
}

func (s *setting) write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *setting) prepare(t testing.TB) *plan.Plan {
	t.Helper()
	p, err := plan.Prepare(t.Context(), s.options)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// keyPair makes an SSH key; the private one may be protected.
func keyPair(t testing.TB, passphrase string) (private, public string) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(key, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	sshKey, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshKey)))
}

func input(t testing.TB, p *plan.Plan, path string) []byte {
	t.Helper()
	for _, f := range p.Inputs {
		if f.Path == path {
			return f.Content
		}
	}
	t.Fatalf("no input %s", path)
	return nil
}

func TestPrepareAndWrite(t *testing.T) {
	private, public := keyPair(t, "")
	s := newSetting(t, map[string]string{
		"home/bottles/work.md": `---
env:
  LITERAL: literal-value
  TICKET: ?Which ticket
  HOSTED: ${HOSTED_VALUE}
  SHORT: ${SHORT_VALUE}
  KEY: ${KEY_VALUE}
egress:
  presets: [npm, anthropic]
  routes:
    - {host: API.example.com, auth: {scheme: Bearer, token_ref: API_TOKEN}}
    - {host: api.anthropic.com, auth: {header: x-api-key, token_ref: MODEL_TOKEN}}
    - {host: other.example.com, auth: {scheme: Bearer, token_ref: API_TOKEN}}
git-gate:
  user: {name: Bottle, email: bottle@example.com}
  repos:
    ssh: {url: "git@forge.test:acme/ssh.git", identity: ~/keys/deploy, host_key: forge.test ` + public + `}
    web: {url: "https://forge.test/acme/web.git", token_ref: FORGE_TOKEN, push: []}
---
`,
		"home/agents/reviewer.md":          "---\nbottle: work\nskills: [review]\ngit-gate: {user: {name: Agent}}\n---\nReview it.\n",
		"home/skills/review/SKILL.md":      "# Review\n",
		"home/skills/review/bin/helper.sh": "#!/bin/sh\n",
		"user/keys/deploy":                 private,
	})
	secrets := map[string]string{
		"API_TOKEN": "planted-api-token-1", "MODEL_TOKEN": "planted-model-token-2", "FORGE_TOKEN": "planted-forge-token-3",
		"HOSTED_VALUE": "planted-hosted-value-4",
	}
	for name, value := range secrets {
		s.shell[name] = value
	}
	s.shell["SHORT_VALUE"] = "short"
	// What stands around every such key is no secret.
	s.shell["KEY_VALUE"] = "-----BEGIN PRIVATE KEY-----\nplanted-key-line-5\n-----END PRIVATE KEY-----\n"
	s.options.Agent, s.options.Term = "reviewer", "screen"
	s.options.Ask = func(_ context.Context, question string) (string, error) { return "planted answer to " + question, nil }
	p := s.prepare(t)

	if !strings.HasPrefix(p.Slug, "reviewer-") || p.Agent != "reviewer" || p.Bottle != "work" || p.Pipelock != "off" {
		t.Errorf("%+v", p)
	}
	if want := []string{"egress", "git-gate", "supervise"}; !slices.Equal(p.Daemons, want) {
		t.Errorf("daemons %v, want %v", p.Daemons, want)
	}
	wantTokens := map[string]string{"EGRESS_TOKEN_1": secrets["API_TOKEN"], "EGRESS_TOKEN_2": secrets["MODEL_TOKEN"], "EGRESS_TOKEN_3": secrets["FORGE_TOKEN"]}
	if !reflect.DeepEqual(p.Tokens, wantTokens) {
		t.Errorf("tokens %v", p.Tokens)
	}
	wantSecrets := []string{"planted answer to Which ticket", "planted-api-token-1", "planted-forge-token-3", "planted-hosted-value-4", "planted-key-line-5", "planted-model-token-2"}
	if !slices.Equal(p.Secrets, wantSecrets) {
		t.Errorf("secrets %v", p.Secrets)
	}

	table, err := routes.Parse(input(t, p, "routes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	byHost := map[string]routes.Route{}
	var model []routes.Route
	for _, r := range table.Routes() {
		byHost[r.Host] = r
		if r.Host == "api.anthropic.com" {
			model = append(model, r)
		}
	}
	provider, err := preset.Lookup("anthropic")
	if err != nil || len(byHost) != 4 || len(model) != len(provider.Routes) {
		t.Fatalf("%d hosts, %d routes to the model: %v", len(byHost), len(model), err)
	}
	for i, want := range provider.Routes {
		got := model[i]
		if got.Auth == nil || got.Auth.TokenEnv != "EGRESS_TOKEN_2" || !slices.Equal(got.Methods, want.Methods) || !slices.Equal(got.Paths, want.Paths) || got.Pipelock != want.Pipelock {
			t.Errorf("a credential on a preset's host should change nothing else: %+v, want %+v", got, want)
		}
	}
	if a, b := byHost["api.example.com"], byHost["other.example.com"]; a.Auth.TokenEnv != "EGRESS_TOKEN_1" || b.Auth.TokenEnv != "EGRESS_TOKEN_1" {
		t.Errorf("one host variable should be one token: %+v %+v", a, b)
	}
	repos, err := gitgate.Parse(input(t, p, "git-gate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if r := repos.Repos["ssh"]; r.Identity != "keys/ssh" || string(input(t, p, "keys/ssh")) != private {
		t.Errorf("%+v", r)
	}
	if r := repos.Repos["web"]; r.TokenEnv != "EGRESS_TOKEN_3" || len(r.Push) != 0 {
		t.Errorf("%+v", r)
	}

	for _, want := range []string{"LITERAL=literal-value", "TICKET=planted answer to Which ticket", "HOSTED=planted-hosted-value-4", "SHORT=short", "TERM=screen", "HTTPS_PROXY=http://egress:9099"} {
		if !slices.Contains(p.AgentEnv, want) {
			t.Errorf("the agent's environment lacks %s", want)
		}
	}
	world := map[string]plan.File{}
	for _, f := range p.AgentFiles {
		world[f.Path] = f
	}
	if f := world["/home/agent/.claude/skills/review/bin/helper.sh"]; string(f.Content) != "#!/bin/sh\n" {
		t.Errorf("skills: %+v", f)
	}
	if f := world["/home/agent/.claude/CLAUDE.md"]; !bytes.Contains(f.Content, []byte("Review it.")) {
		t.Errorf("prompt: %s", f.Content)
	}
	if f := world["/etc/gitconfig"]; !bytes.Contains(f.Content, []byte(`name = "Agent"`)) || !bytes.Contains(f.Content, []byte("http://git-gate:9420/ssh.git")) {
		t.Errorf("git: %s", f.Content)
	}
	if !bytes.Contains(world["/etc/ssl/certs/ca-certificates.crt"].Content, input(t, p, "ca.pem")) {
		t.Error("the agent does not trust the bottle's authority")
	}
	for path, f := range world {
		if bytes.Contains(f.Content, []byte("PRIVATE KEY")) {
			t.Errorf("the agent gets a private key in %s", path)
		}
	}

	if entries, err := os.ReadDir(filepath.Join(string(s.options.Home), "state")); err != nil || len(entries) != 0 {
		t.Errorf("preparing wrote %v, %v", entries, err)
	}
	if err := p.Write(s.options.Home); err != nil {
		t.Fatal(err)
	}
	s.checkTree(t, p)
	if err := p.Write(s.options.Home); !errors.Is(err, state.ErrExists) {
		t.Errorf("written twice: %v", err)
	}
	read, err := plan.Read(p.State)
	if err != nil || read.Slug != p.Slug || !slices.Equal(read.Hosts, p.Hosts) || read.Tokens != nil || !reflect.DeepEqual(read.Credentials, p.Credentials) {
		t.Errorf("read back: %+v, %v", read, err)
	}
}

// checkTree looks at modes and hunts for planted secrets in all that was
// written.
func (s *setting) checkTree(t *testing.T, p *plan.Plan) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(string(p.State), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[e.IsDir()]; info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if e.IsDir() {
			return nil
		}
		files++
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte("planted")) || bytes.Contains(content, []byte("literal-value")) {
			t.Errorf("%s holds a value that must stay in memory", path)
		}
		return err
	})
	if err != nil || files < 5 {
		t.Errorf("%d files, %v", files, err)
	}
	if dry, err := json.Marshal(p); err != nil || bytes.Contains(dry, []byte("planted")) {
		t.Errorf("the plan's JSON holds a secret: %s %v", dry, err)
	}
}

// TestNamesNoBackend: the plan is the same for every backend.
func TestNamesNoBackend(t *testing.T) {
	sources, err := filepath.Glob("*.go")
	if err != nil || len(sources) < 5 {
		t.Fatal(sources, err)
	}
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if word := backendWord.Find(content); word != nil {
			t.Errorf("%s names %s", name, word)
		}
	}
}
