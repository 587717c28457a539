//go:build linux

package compose_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/claude-bottle/claude-bottle/backend/docker/compose"
)

// want is what a service must have.
type want struct {
	networks string // of its own, sorted
	needs    string // part:condition, sorted
	aliases  string // on the agent's network, sorted
	env      []string
	not      []string // variables that it must not have
	targets  []string // of mounts
	noTarget []string
}

// In both shapes each service gets what its roles need and nothing more.
func TestServices(t *testing.T) {
	const all = "claude-bottle-egress-x claude-bottle-git-gate-x claude-bottle-pipelock-x claude-bottle-supervise-x egress git-gate pipelock supervise"
	install := want{env: []string{}, not: []string{"EGRESS_TOKEN_1"}, targets: []string{"/install", "/home"}}
	seal := want{needs: "agent:service_started"}
	agent := want{
		networks: "net", env: []string{"LITERAL=pla$in", "HTTPS_PROXY=http://egress:9099"},
		not:      []string{"SUPPLIED", "EGRESS_TOKEN_1", "PIPELOCK_TOKEN", "EGRESS_UPSTREAM_PROXY"},
		targets:  []string{"/workspace", "/.claude-bottle", "/.claude-bottle/env", "/home/agent", "/etc/resolv.conf"},
		noTarget: []string{"/run/secrets/known", "/etc/egress/ca-key.pem"},
	}
	whole, divided := agent, agent
	whole.needs = "install:service_completed_successfully sidecars:service_healthy"
	divided.needs = "egress:service_healthy git-gate:service_healthy install:service_completed_successfully pipelock:service_healthy supervise:service_healthy"
	for name, c := range map[string]struct {
		split    bool
		services map[string]want
	}{
		"bundle": {false, map[string]want{
			"agent": whole, "install": install, "seal": seal,
			"sidecars": {
				networks: "egress net", aliases: all,
				env: []string{"CLAUDE_BOTTLE_SIDECAR_DAEMONS=egress,pipelock,git-gate,supervise", "EGRESS_TOKEN_1=" + token},
				not: []string{"PIPELOCK_TOKEN", "EGRESS_UPSTREAM_PROXY", "HTTP_PROXY", "SUPPLIED"},
				targets: []string{
					"/etc/egress/routes.yaml", "/etc/egress/ca-key.pem", "/etc/pipelock.yaml", "/etc/pipelock-ca-key.pem",
					"/etc/git-gate/config.yaml", "/run/supervise/queue", "/run/audit", "/run/secrets/known",
				},
			},
		}},
		"split": {true, map[string]want{
			"agent": divided, "install": install, "seal": seal,
			"egress": {
				networks: "egress net", needs: "pipelock:service_healthy",
				aliases: "claude-bottle-egress-x claude-bottle-pipelock-x egress pipelock",
				env:     []string{"CLAUDE_BOTTLE_SIDECAR_DAEMONS=egress", "EGRESS_TOKEN_1=" + token}, not: []string{"PIPELOCK_TOKEN", "GIT_GATE_LISTEN"},
				targets:  []string{"/etc/egress/routes.yaml", "/etc/egress/ca-key.pem", "/etc/pipelock-ca.pem", "/run/supervise/queue"},
				noTarget: []string{"/etc/pipelock-ca-key.pem", "/etc/pipelock.yaml", "/etc/git-gate/config.yaml"},
			},
			"pipelock": {
				networks: "egress",
				env:      []string{"CLAUDE_BOTTLE_SIDECAR_DAEMONS=pipelock"}, not: []string{"EGRESS_TOKEN_1", "EGRESS_LISTEN", "EGRESS_UPSTREAM_PROXY"},
				targets:  []string{"/etc/pipelock.yaml", "/etc/pipelock-ca-key.pem"},
				noTarget: []string{"/etc/egress/ca-key.pem", "/etc/git-gate/config.yaml"},
			},
			"git-gate": {
				networks: "egress net", aliases: "claude-bottle-git-gate-x git-gate",
				env: []string{"CLAUDE_BOTTLE_SIDECAR_DAEMONS=git-gate"}, not: []string{"PIPELOCK_TOKEN", "EGRESS_UPSTREAM_PROXY"},
				targets:  []string{"/etc/git-gate/config.yaml", "/run/supervise/queue"},
				noTarget: []string{"/etc/egress/ca-key.pem", "/etc/pipelock-ca-key.pem"},
			},
			"supervise": {
				networks: "net", aliases: "claude-bottle-supervise-x supervise",
				env: []string{"CLAUDE_BOTTLE_SIDECAR_DAEMONS=supervise"}, not: []string{"EGRESS_TOKEN_1", "PIPELOCK_TOKEN", "EGRESS_UPSTREAM_PROXY"},
				targets:  []string{"/run/supervise/queue"},
				noTarget: []string{"/etc/egress/ca-key.pem", "/etc/pipelock-ca-key.pem", "/etc/git-gate/config.yaml"},
			},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := layOut(t, "x", c.split, "true")
			if got, want := slices.Sorted(maps.Keys(b.project.Services)), slices.Sorted(maps.Keys(c.services)); !slices.Equal(got, want) {
				t.Fatalf("services %v, want %v", got, want)
			}
			for part, w := range c.services {
				checkService(t, b.project.Services[part], w)
			}
		})
	}
}

func checkService(t *testing.T, s types.ServiceConfig, w want) {
	t.Helper()
	if got := strings.Join(slices.Sorted(maps.Keys(s.Networks)), " "); got != w.networks {
		t.Errorf("%s: networks %q, want %q", s.Name, got, w.networks)
	}
	var needs []string
	for part, need := range s.DependsOn {
		needs = append(needs, part+":"+need.Condition)
	}
	slices.Sort(needs)
	if got := strings.Join(needs, " "); got != w.needs {
		t.Errorf("%s: needs %q, want %q", s.Name, got, w.needs)
	}
	if inner := s.Networks["net"]; inner != nil {
		if got := strings.Join(slices.Sorted(slices.Values(inner.Aliases)), " "); got != w.aliases {
			t.Errorf("%s: aliases %q, want %q", s.Name, got, w.aliases)
		}
	}
	for _, variable := range w.env {
		name, value, _ := strings.Cut(variable, "=")
		if got := s.Environment[name]; got == nil || *got != value {
			t.Errorf("%s: no %s", s.Name, variable)
		}
	}
	// What the file of variables gives is part of the environment as well.
	for _, name := range w.not {
		if _, ok := s.Environment[name]; ok {
			t.Errorf("%s has %s", s.Name, name)
		}
	}
	has := func(target string) bool {
		return slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == target })
	}
	for _, target := range w.targets {
		if !has(target) {
			t.Errorf("%s: nothing at %s", s.Name, target)
		}
	}
	for _, target := range w.noTarget {
		if has(target) {
			t.Errorf("%s has %s", s.Name, target)
		}
	}
	if !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges") || s.Privileged || len(s.Ports) > 0 {
		t.Errorf("%s has too many rights", s.Name)
	}
}

// The agent finds every role by all its names, and pipelock's is egress.
func TestAgentsNames(t *testing.T) {
	b := layOut(t, "x", true, "true")
	hosts := b.project.Services["agent"].ExtraHosts
	for _, role := range []string{"egress", "git-gate", "supervise", "pipelock"} {
		owner := role
		if role == "pipelock" {
			owner = "egress"
		}
		address := b.project.Services[owner].Networks["net"].Ipv4Address
		for _, name := range []string{role, "claude-bottle-" + role + "-x"} {
			if got := hosts[name]; len(got) != 1 || got[0] != address {
				t.Errorf("%s is at %v, want %s", name, got, address)
			}
		}
	}
	inner := b.project.Networks["net"]
	if !inner.Internal || inner.DriverOpts["com.docker.network.bridge.inhibit_ipv4"] != "true" || b.project.Networks["egress"].Internal {
		t.Errorf("networks: %+v", b.project.Networks)
	}
}

// No secret is in the file, and what it names is its owner's alone.
func TestNoSecretInTheFile(t *testing.T) {
	for name, split := range map[string]bool{"bundle": false, "split": true} {
		t.Run(name, func(t *testing.T) {
			b := layOut(t, "x", split, "true")
			text := string(b.content)
			secrets := []string{token, supplied}
			resolved, err := b.project.WithServicesEnvironmentResolved(true)
			must(t, err)
			if split {
				bearer := resolved.Services["pipelock"].Environment["PIPELOCK_TOKEN"]
				next := resolved.Services["egress"].Environment["EGRESS_UPSTREAM_PROXY"]
				if bearer == nil || len(*bearer) < 20 || next == nil || !strings.Contains(*next, ":"+*bearer+"@") {
					t.Fatal("egress and pipelock share no token")
				}
				secrets = append(secrets, *bearer)
			}
			for _, secret := range secrets {
				if strings.Contains(text, secret) {
					t.Errorf("the file holds %q", secret)
				}
			}
			if !strings.Contains(text, "#     TEST_TOKEN\n") || !strings.Contains(text, "${TEST_TOKEN:?") {
				t.Error("the file does not say what it needs")
			}
			for _, s := range b.project.Services {
				for _, file := range s.EnvFiles {
					private(t, file.Path)
				}
				for _, v := range s.Volumes {
					if v.Target == "/run/secrets/known" || v.Target == "/.claude-bottle/env" {
						private(t, v.Source)
					}
				}
			}
		})
	}
}

func private(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %o", path, info.Mode().Perm())
	}
}

// What docker compose would not read is told.
func TestValidate(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"a bogus key":      {"name: x\nservices: {a: {image: i, bogus: false}}", "bogus"},
		"an unset secret":  {"name: x\nservices: {a: {image: i, environment: {T: \"${T:?needed}\"}}}", "T"},
		"nobody to follow": {"name: x\nservices: {a: {image: i, depends_on: [b]}}", "depends on undefined service"},
	} {
		if err := compose.Validate(t.Context(), []byte(c.content), nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := compose.Validate(t.Context(), []byte("name: x\nservices: {a: {image: i, environment: {T: \"${T:?needed}\"}}}"), []string{"T"}); err != nil {
		t.Errorf("what is right: %v", err)
	}
}
