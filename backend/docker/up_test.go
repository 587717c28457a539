//go:build linux

package docker

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/plan"
)

// What an agent finds: its command's streams and code, its world, its files.
func TestUp(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "up", "sh", "-c", `
echo "id $(id -u) $(whoami)"; pwd; echo "literal $LITERAL supplied $SUPPLIED"; cat; echo complaint >&2
echo "proxy $HTTPS_PROXY"; touch /workspace/made /home/agent/made && echo wrote; touch /made || echo refused
grep -c CERT "$SSL_CERT_FILE"; head -1 "$NODE_EXTRA_CA_CERTS"; ls -a /home/agent | grep claude.json
curl -sS -o /dev/null -w '%{http_code}\n' http://_egress.local/allowlist
exit 7`)
	var out, complaints buffer
	bottle := begin(t, home, p, backend.Stdio{In: strings.NewReader("typed\n"), Out: &out, Err: &complaints})
	code, err := bottle.Wait(t.Context())
	if err != nil || code != 7 {
		t.Errorf("code %d, error %v", code, err)
	}
	lines := strings.Split(out.String(), "\n")
	for _, want := range []string{"/workspace", "literal plain supplied " + suppliedValue, "typed", "proxy http://egress:9099", "wrote", "refused", "-----BEGIN CERTIFICATE-----", ".claude.json", "200"} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %q in:\n%s%s", want, &out, &complaints)
		}
	}
	if strings.HasPrefix(lines[0], "id 0") || !strings.HasSuffix(lines[0], " agent") && os.Getuid() == 0 {
		t.Errorf("the agent is %s", lines[0])
	}
	if !strings.Contains(complaints.String(), "complaint") || strings.Contains(out.String(), "complaint") {
		t.Errorf("stderr: %q", &complaints)
	}
	info, err := os.Stat(filepath.Join(p.Workspace, "made"))
	if err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != os.Getuid() {
		t.Errorf("the agent's file is not the operator's: %v %v", info, err)
	}
	if content, err := os.ReadFile(p.State.BundleLog()); err != nil || !strings.Contains(string(content), `"msg":"start"`) {
		t.Errorf("the bundle's log: %v %s", err, content)
	}
}

// What the engine shows of a bottle: limits, no rights, names, no secret.
func TestWhatTheEngineShows(t *testing.T) {
	home := newHome(t)
	bottleFile(t, home, strings.Replace(plainBottle, "    - host: first.example.com\n",
		"    - host: first.example.com\n      auth: {scheme: Bearer, token_ref: TEST_TOKEN}\n", 1))
	p := newPlan(t, home, "shown", "sleep", "300")
	begin(t, home, p, backend.Stdio{})

	text, agent := inspect(t, "claude-bottle-agent-shown")
	for _, secret := range []string{suppliedValue, p.Tokens["EGRESS_TOKEN_1"], "EGRESS_TOKEN", "PIPELOCK"} {
		if secret == "" || strings.Contains(text, secret) {
			t.Errorf("the engine shows %q of the agent", secret)
		}
	}
	bundleText, bundle := inspect(t, "claude-bottle-sidecars-shown")
	if strings.Contains(bundleText, suppliedValue) || strings.Contains(strings.ToUpper(bundleText), "HTTP_PROXY") {
		t.Error("the bundle's environment holds what only its file of secrets may, or a proxy")
	}
	for name, c := range map[string]map[string]any{"agent": agent, "bundle": bundle} {
		if drop := words(dig(c, "HostConfig", "CapDrop")); !slices.Equal(drop, []string{"ALL"}) || len(words(dig(c, "HostConfig", "CapAdd"))) > 0 {
			t.Errorf("%s: capabilities dropped %v", name, drop)
		}
		if !slices.Contains(words(dig(c, "HostConfig", "SecurityOpt")), "no-new-privileges") || dig(c, "HostConfig", "Privileged") == true {
			t.Errorf("%s: no no-new-privileges", name)
		}
		if user := dig(c, "Config", "User"); user != operator().String() || strings.HasPrefix(operator().String(), "0:") {
			t.Errorf("%s: runs as %v", name, user)
		}
		if limit, _ := dig(c, "HostConfig", "PidsLimit").(float64); limit <= 0 {
			t.Errorf("%s: no limit of processes", name)
		}
		if limit, _ := dig(c, "HostConfig", "Memory").(float64); limit <= 0 {
			t.Errorf("%s: no limit of memory", name)
		}
	}
	if dig(bundle, "HostConfig", "ReadonlyRootfs") != true {
		t.Error("the bundle's root can be written to")
	}
	networks, _ := dig(agent, "NetworkSettings", "Networks").(map[string]any)
	if _, ok := networks["claude-bottle-net-shown"]; !ok || len(networks) != 1 {
		t.Errorf("the agent's networks: %v", networks)
	}
	if internal := docker(t, "network", "inspect", "-f", "{{.Internal}}", "claude-bottle-net-shown"); internal != "true" {
		t.Errorf("the inner network is internal: %s", internal)
	}
	info, err := os.Stat(secretsPath(p.State))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of secrets: %v %v", info, err)
	}
}

// What cannot start says why and what to do, and leaves nothing.
func TestStartRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		options Options
		bottle  string // replaces plainBottle's pipelock line
		command []string
		before  func(t *testing.T)
		want    string
		code    int
	}{
		"no bundle image":   {options: Options{Image: "claude-bottle-sidecars:none"}, want: "make image"},
		"another's image":   {options: Options{Image: agentImage}, want: "is not a bundle's image"},
		"no agent image":    {options: Options{AgentImage: "claude-bottle-agent:none"}, want: "docker pull"},
		"network exists":    {before: func(t *testing.T) { foreignNetwork(t, "claude-bottle-net-refused") }, want: "exists already"},
		"container exists":  {before: func(t *testing.T) { foreignContainer(t, "claude-bottle-agent-refused") }, want: "exists already"},
		"command not there": {command: []string{"no-such-command"}, want: "no-such-command", code: 127},
		"not a command":     {command: []string{"/etc/passwd"}, want: "permission denied", code: 126},
		"broken bundle":     {options: Options{BundleEnv: []string{"EGRESS_RESOLVER=nonsense"}}, want: "EGRESS_RESOLVER"},
	} {
		t.Run(name, func(t *testing.T) {
			home := newHome(t)
			command := c.command
			if command == nil {
				command = []string{"touch", "/workspace/ran"}
			}
			p := newPlan(t, home, "refused", command...)
			o := c.options
			o.Home = home
			if o.Image == "" {
				o.Image = testImage
			}
			if o.AgentImage == "" {
				o.AgentImage = agentImage
			}
			if c.before != nil {
				c.before(t)
			}
			bottle, err := New(o).Start(t.Context(), p, backend.Stdio{}, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v %v, want %q", bottle, err, c.want)
			}
			if command, ok := errors.AsType[*backend.CommandError](err); ok != (c.code != 0) || ok && command.Code != c.code {
				t.Errorf("%v, want code %d", err, c.code)
			}
			if _, err := os.Stat(filepath.Join(p.Workspace, "ran")); err == nil {
				t.Error("the agent ran")
			}
			nothingLeft(t, home, "refused")
		})
	}
}

// foreignNetwork and foreignContainer are not ours, whatever they are called.
func foreignNetwork(t *testing.T, name string) {
	docker(t, "network", "create", "--subnet", "198.51.100.0/28", name)
	t.Cleanup(func() { docker(t, "network", "rm", name) })
}

func foreignContainer(t *testing.T, name string) {
	docker(t, "create", "--name", name, agentImage, "true")
	t.Cleanup(func() { docker(t, "rm", "-f", name) })
}

// Where no engine answers, or an old one, the error says what to do.
func TestNoEngine(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
	home := newHome(t)
	b := newBackend(home)
	if err := b.Available(t.Context()); err == nil || !strings.Contains(err.Error(), "start it") {
		t.Errorf("available: %v", err)
	}
	// There never was a bottle on it, so other commands are not in the way.
	if list, err := b.List(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("list: %v %v", list, err)
	}
	if orphans, err := b.Orphans(t.Context()); err != nil || len(orphans) > 0 {
		t.Errorf("orphans: %v %v", orphans, err)
	}
	if _, err := b.Start(t.Context(), &plan.Plan{Slug: "none", Command: []string{"true"}, State: home.Dir("none"), Workspace: t.TempDir()}, backend.Stdio{}, nil); err == nil {
		t.Error("started")
	}
	for version, want := range map[string]bool{"1.41": true, "1.52": true, "2.0": true, "1.40": false, "": false} {
		if got := atLeast(version, oldestAPI); got != want {
			t.Errorf("%s is new enough: %v", version, got)
		}
	}
}

// The workspace may not hold or be part of what decides about bottles.
func TestWorkspaceOutside(t *testing.T) {
	home := newHome(t)
	for _, dir := range []string{string(home), filepath.Dir(string(home)), home.Bottles()} {
		if _, err := checkWorkspace(dir, home); err == nil {
			t.Errorf("%s is allowed", dir)
		}
	}
}

// A bottle that does not say where it wants to be is put here only where it can
// be started.
func TestReady(t *testing.T) {
	home := newHome(t)
	for _, c := range []struct {
		name    string
		options Options
		want    bool
	}{
		{"both images", Options{Home: home, Image: testImage, AgentImage: agentImage}, true},
		{"no bundle", Options{Home: home, Image: "claude-bottle-none:none", AgentImage: agentImage}, false},
		{"no agent", Options{Home: home, Image: testImage, AgentImage: "claude-bottle-none:none"}, false},
		{"not a bundle", Options{Home: home, Image: agentImage, AgentImage: agentImage}, false},
	} {
		if got := New(c.options).(*Backend).Ready(t.Context()); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	t.Setenv("DOCKER_HOST", "unix://"+t.TempDir()+"/none.sock")
	if New(Options{Home: home, Image: testImage, AgentImage: agentImage}).(*Backend).Ready(t.Context()) {
		t.Error("an engine that is not there")
	}
}
