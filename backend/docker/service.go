package docker

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/claude-bottle/claude-bottle/plan"
)

// service is one container of a bottle's bundle: all roles in one, or, in the
// split shape, one role.
type service struct {
	part    string // its label, and its name as a service of compose
	daemons []string
	env     []string
	inputs  []string // the names of the inputs that it reads
	// inner and outer are its addresses on the two networks; invalid = it is not
	// on that one. The aliases are on the inner one.
	inner, outer netip.Addr
	aliases      []string
	needs        []string // parts that have to run before
}

func (s service) container(slug string) string { return "claude-bottle-" + s.part + "-" + slug }

// isService tells whether a part is a container of the bundle.
func isService(part string) bool { return part == partBundle || slices.Contains(roles, part) }

// The places on both networks, after the gateway's. A bundle in one container
// has egress's.
var places = map[string]byte{"egress": 2, partAgent: 3, "git-gate": 4, "supervise": 5, "pipelock": 6}

// readers tells which roles read an input.
var readers = map[string][]string{
	"routes.yaml":         {"egress", "supervise"},
	"ca.pem":              {"egress"},
	"ca-key.pem":          {"egress"},
	"pipelock.yaml":       {"pipelock"},
	"pipelock-ca.pem":     {"pipelock", "egress"},
	"pipelock-ca-key.pem": {"pipelock"},
	"git-gate.yaml":       {"git-gate"},
	"keys":                {"git-gate"},
	upstreamCAInput:       {"egress", "pipelock", "git-gate"},
}

// layout is how a bottle's bundle is divided, and where it is.
type layout struct {
	plan         *plan.Plan
	inner, outer wire
	split        bool
	// token is what egress shows to a pipelock in another container.
	token string
	extra []string // variables that win over the plan's
}

// services are the containers of the bundle.
func (l layout) services() []service {
	if !l.split {
		return []service{l.service(partBundle, selected(l.plan))}
	}
	var all []service
	for _, role := range selected(l.plan) {
		all = append(all, l.service(role, []string{role}))
	}
	return all
}

func (l layout) service(part string, daemons []string) service {
	s := service{part: part, daemons: daemons}
	has := func(role string) bool { return slices.Contains(daemons, role) }
	place := places["egress"]
	if l.split {
		place = places[part]
	}
	if part != "pipelock" {
		s.inner = l.inner.at(place)
	}
	if part != "supervise" {
		s.outer = l.outer.at(place)
	}
	for _, role := range roles {
		if has(role) && (role != "pipelock" || s.inner.IsValid()) || role == "pipelock" && has("egress") || !l.split {
			s.aliases = append(s.aliases, role, "claude-bottle-"+role+"-"+l.plan.Slug)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(readers)) {
		if slices.ContainsFunc(readers[name], has) {
			s.inputs = append(s.inputs, name)
		}
	}
	s.env = l.env(s, has)
	if l.separatePipelock() && has("egress") {
		s.needs = []string{"pipelock"}
	}
	return s
}

func (l layout) separatePipelock() bool {
	return l.split && slices.Contains(l.plan.Daemons, "pipelock")
}

// env is the whole environment of a service.
func (l layout) env(s service, has func(string) bool) []string {
	chain := "bundle"
	if l.split && !has("egress") {
		chain = s.part // a chain has one writer
	}
	env := []string{
		"CLAUDE_BOTTLE_SIDECAR_DAEMONS=" + strings.Join(s.daemons, ","),
		"CLAUDE_BOTTLE_SLUG=" + l.plan.Slug,
		"CLAUDE_BOTTLE_SECRETS=" + secretsInside,
		"CLAUDE_BOTTLE_AUDIT=/run/audit/" + chain + ".jsonl",
		"CLAUDE_BOTTLE_HEALTH_LISTEN=unix:" + healthInside + "/" + s.part + ".sock",
		"SUPERVISE_QUEUE=/run/supervise/queue",
	}
	if l.plan.OperatorHead != "" {
		env = append(env, "CLAUDE_BOTTLE_OPERATOR_HEAD="+l.plan.OperatorHead)
	}
	for _, role := range roles {
		address := s.inner
		switch {
		case role == "pipelock" && has("egress"): // its second door
		case !has(role):
			continue
		case role == "pipelock":
			address = s.outer
		}
		name := strings.ToUpper(strings.ReplaceAll(role, "-", "_")) + "_LISTEN"
		env = append(env, name+"="+netip.AddrPortFrom(address, ports[role]).String())
	}
	if l.separatePipelock() && has("egress") {
		next := netip.AddrPortFrom(l.outer.at(places["pipelock"]), ports["pipelock"])
		env = append(env, fmt.Sprintf("EGRESS_UPSTREAM_PROXY=http://:%s@%s", l.token, next), "PIPELOCK_CA_CERT="+inputs["pipelock-ca.pem"])
	}
	if has("supervise") && !has("egress") {
		env = append(env, "EGRESS_HEALTH=unix:"+healthInside+"/egress.sock")
	}
	if l.separatePipelock() && has("pipelock") {
		env = append(env, "PIPELOCK_TOKEN="+l.token)
	}
	for _, name := range slices.Sorted(maps.Keys(l.plan.Tokens)) {
		if slices.ContainsFunc(l.plan.TokenRoles[name], has) {
			env = append(env, name+"="+l.plan.Tokens[name])
		}
	}
	for _, variable := range l.extra {
		if name, value, _ := strings.Cut(variable, "="); name == "EGRESS_UPSTREAM_CA" && value != "" {
			variable = name + "=" + upstreamCAInside
		}
		env = append(env, variable)
	}
	return env
}

// address is where the agent finds a role.
func (l layout) address(role string) netip.Addr {
	if !l.split || role == "pipelock" {
		role = "egress"
	}
	return l.inner.at(places[role])
}

// doors are the agent-facing addresses of the selected roles.
func (l layout) doors() []string {
	var all []string
	for _, role := range selected(l.plan) {
		all = append(all, netip.AddrPortFrom(l.address(role), ports[role]).String())
	}
	return all
}

// extraHosts are the names that the agent knows.
func (l layout) extraHosts() []string {
	var all []string
	for _, role := range roles {
		for _, name := range []string{role, "claude-bottle-" + role + "-" + l.plan.Slug} {
			all = append(all, name+":"+l.address(role).String())
		}
	}
	return all
}
