package docker

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/plan"
)

// In both shapes each role gets what it reads and listens where the agent may
// reach it; pipelock is behind egress and never on the agent's network.
func TestServices(t *testing.T) {
	p := &plan.Plan{Slug: "x", Daemons: roles, OperatorHead: "7:a-hash",
		Tokens:     map[string]string{"EGRESS_TOKEN_1": "a-token", "EGRESS_TOKEN_2": "git's", "EGRESS_TOKEN_3": "both's"},
		TokenRoles: map[string][]string{"EGRESS_TOKEN_1": {"egress"}, "EGRESS_TOKEN_2": {"git-gate"}, "EGRESS_TOKEN_3": {"egress", "git-gate"}},
	}
	l := layout{
		plan: p, inner: wire{netip.MustParsePrefix("198.18.0.0/28")}, outer: wire{netip.MustParsePrefix("198.18.0.16/28")},
		token: "shared", extra: []string{"EGRESS_UPSTREAM_CA=/host/ca.pem", "SUPERVISE_WAIT=1s"},
	}
	type want struct {
		inner, outer string
		needs        string
		has, hasNot  []string // variables
		inputs       int
		aliases      string
	}
	for _, c := range []struct {
		name  string
		split bool
		want  map[string]want
	}{
		{"bundle", false, map[string]want{
			"sidecars": {
				inner: "198.18.0.2", outer: "198.18.0.18", inputs: 9,
				has: []string{
					"CLAUDE_BOTTLE_SIDECAR_DAEMONS=egress,pipelock,git-gate,supervise", "EGRESS_LISTEN=198.18.0.2:9099", "PIPELOCK_LISTEN=198.18.0.2:8888",
					"GIT_GATE_LISTEN=198.18.0.2:9420", "SUPERVISE_LISTEN=198.18.0.2:9100", "EGRESS_TOKEN_1=a-token", "EGRESS_TOKEN_2=git's", "EGRESS_TOKEN_3=both's", "EGRESS_UPSTREAM_CA=/etc/egress/upstream-ca.pem",
				},
				hasNot:  []string{"EGRESS_UPSTREAM_PROXY", "PIPELOCK_TOKEN", "EGRESS_HEALTH"},
				aliases: "egress claude-bottle-egress-x pipelock claude-bottle-pipelock-x git-gate claude-bottle-git-gate-x supervise claude-bottle-supervise-x",
			},
		}},
		{"split", true, map[string]want{
			"egress": {
				inner: "198.18.0.2", outer: "198.18.0.18", needs: "pipelock", inputs: 5,
				has:     []string{"EGRESS_LISTEN=198.18.0.2:9099", "PIPELOCK_LISTEN=198.18.0.2:8888", "EGRESS_UPSTREAM_PROXY=http://:shared@198.18.0.22:8888", "PIPELOCK_CA_CERT=/etc/pipelock-ca.pem", "EGRESS_TOKEN_1=a-token", "EGRESS_TOKEN_3=both's", "CLAUDE_BOTTLE_AUDIT=/run/audit/bundle.jsonl"},
				hasNot:  []string{"PIPELOCK_TOKEN", "GIT_GATE_LISTEN", "EGRESS_TOKEN_2"},
				aliases: "egress claude-bottle-egress-x pipelock claude-bottle-pipelock-x",
			},
			"pipelock": {
				outer: "198.18.0.22", inputs: 4,
				has:    []string{"PIPELOCK_LISTEN=198.18.0.22:8888", "PIPELOCK_TOKEN=shared"},
				hasNot: []string{"EGRESS_TOKEN_1", "EGRESS_TOKEN_2", "EGRESS_TOKEN_3", "EGRESS_UPSTREAM_PROXY", "EGRESS_LISTEN"},
			},
			"git-gate": {
				inner: "198.18.0.4", outer: "198.18.0.20", inputs: 3, aliases: "git-gate claude-bottle-git-gate-x",
				has: []string{"GIT_GATE_LISTEN=198.18.0.4:9420", "EGRESS_TOKEN_2=git's", "EGRESS_TOKEN_3=both's", "CLAUDE_BOTTLE_AUDIT=/run/audit/git-gate.jsonl"}, hasNot: []string{"PIPELOCK_TOKEN", "EGRESS_UPSTREAM_PROXY", "EGRESS_TOKEN_1"},
			},
			"supervise": {
				inner: "198.18.0.5", inputs: 1, aliases: "supervise claude-bottle-supervise-x",
				has: []string{"SUPERVISE_LISTEN=198.18.0.5:9100", "SUPERVISE_WAIT=1s", "EGRESS_HEALTH=unix:/run/health/egress.sock"}, hasNot: []string{"EGRESS_TOKEN_1", "EGRESS_TOKEN_2", "EGRESS_TOKEN_3", "PIPELOCK_TOKEN", "EGRESS_UPSTREAM_PROXY"},
			},
		}},
	} {
		l.split = c.split
		services := l.services()
		if len(services) != len(c.want) {
			t.Errorf("%s: %d services", c.name, len(services))
		}
		for _, s := range services {
			if !slices.Contains(s.env, "CLAUDE_BOTTLE_OPERATOR_HEAD=7:a-hash") {
				t.Errorf("%s %s: its audit log does not name the operator's", c.name, s.part)
			}
			w := c.want[s.part]
			if address(s.inner) != w.inner || address(s.outer) != w.outer || strings.Join(s.needs, " ") != w.needs || strings.Join(s.aliases, " ") != w.aliases {
				t.Errorf("%s %s: inner %v, outer %v, needs %v, aliases %v", c.name, s.part, s.inner, s.outer, s.needs, s.aliases)
			}
			if len(s.inputs) != w.inputs {
				t.Errorf("%s %s reads %v", c.name, s.part, s.inputs)
			}
			for _, variable := range w.has {
				if !slices.Contains(s.env, variable) {
					t.Errorf("%s %s: no %s in %v", c.name, s.part, variable, s.env)
				}
			}
			for _, name := range w.hasNot {
				if slices.ContainsFunc(s.env, func(v string) bool { return strings.HasPrefix(v, name+"=") }) {
					t.Errorf("%s %s has %s", c.name, s.part, name)
				}
			}
		}
		if hosts := l.extraHosts(); len(hosts) != 8 || !slices.Contains(hosts, "pipelock:198.18.0.2") {
			t.Errorf("%s: hosts %v", c.name, hosts)
		}
	}
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
