// Package replay decides recorded refusals again: which of a bottle's refused
// requests would a change of its routes let through, which of those did the
// agent not name when it asked, and which routes would cover what was refused.
//
// Load reads the refusals from the bundle's audit chain, Judge compares two
// tables of routes on them, Suggest proposes routes. Verdicts come from
// routes.Table, the function that egress itself asks.
package replay

import (
	"time"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// Refusal is what egress refused, once or many times. All text in it is fit to
// be shown at a terminal.
type Refusal struct {
	// Rule is why.
	Rule policy.Rule `json:"rule"`
	// Host is canonical where egress could read it. Port 0 = not recorded.
	Host string `json:"host"`
	Port uint16 `json:"port,omitempty"`
	// Method is CONNECT when the connection was refused: what would have been
	// asked in it is not known, and Path is empty. It is empty where so much was
	// refused that only the host was recorded.
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	// Plain: as plain HTTP. WebSocket: the request asked to become one.
	Plain     bool `json:"plain,omitempty"`
	WebSocket bool `json:"websocket,omitempty"`
	// Count is how often.
	Count uint64    `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Named is set by Judge: the agent named it.
	Named bool `json:"named"`
}

// Connection reports whether a connection was refused, not a request.
func (r Refusal) Connection() bool { return r.Method == "CONNECT" }

// Count adds up how often.
func Count(refusals []Refusal) (n uint64) {
	for _, r := range refusals {
		n += r.Count
	}
	return n
}

// Result is what a change of the routes means for what was refused.
type Result struct {
	// Would would be let through. Later checks of a request may still refuse
	// it: a secret in it, an address that is not public.
	Would []Refusal `json:"would"`
	// Unnamed are those of Would that the agent did not name.
	Unnamed []Refusal `json:"unnamed"`
	// Still are those to the host the agent asked for that would be refused as
	// before, with the rule that would do so.
	Still []Refusal `json:"still"`
	// Unknown is how many refusals to that host were only counted: what was
	// asked is not recorded.
	Unknown uint64 `json:"unknown"`
}

// Judge compares the routes in force with those after a change. What the
// routes in force let through already is in no part of the result. spent are
// the uses of grants, nil = none.
func Judge(refusals []Refusal, inForce, after *routes.Table, asked Asked, now time.Time, spent routes.Spent) Result {
	var result Result
	for _, r := range refusals {
		if r.Method == "" {
			if r.Host == asked.Host {
				result.Unknown += r.Count
			}
			continue
		}
		if _, passes := r.decide(inForce, now, spent); passes {
			continue
		}
		rule, passes := r.decide(after, now, spent)
		switch {
		case passes:
			r.Named = asked.names(r)
			result.Would = append(result.Would, r)
			if !r.Named {
				result.Unnamed = append(result.Unnamed, r)
			}
		case r.Host == asked.Host:
			r.Rule = rule
			result.Still = append(result.Still, r)
		}
	}
	return result
}

// JudgeRoute is Judge for one more route behind those in force.
func JudgeRoute(refusals []Refusal, inForce *routes.Table, route routes.Route, asked Asked, now time.Time, spent routes.Spent) (Result, error) {
	after, err := routes.New(append(inForce.Routes(), route))
	if err != nil {
		return Result{}, err
	}
	return Judge(refusals, inForce, after, asked, now, spent), nil
}

// decide tells whether the table lets through what was refused, and the rule
// when it does not. What the routes did not refuse they cannot let through.
func (r Refusal) decide(t *routes.Table, now time.Time, spent routes.Spent) (policy.Rule, bool) {
	switch r.Rule {
	case policy.NoRoute, policy.GrantExpired, policy.IPLiteral, policy.Port,
		policy.Upgrade, policy.Method, policy.Path, policy.GitWrite:
	default:
		return r.Rule, false
	}
	host, err := canon.ParseHost(r.Host)
	if err != nil {
		return r.Rule, false
	}
	authority := canon.Authority{Host: host, Port: r.port()}
	if r.Connection() {
		d := t.Authority(authority, false, now, spent)
		return d.Rule, d.Allow
	}
	path, sent, err := canon.ParseSlashedPath(r.Path)
	if err != nil {
		return r.Rule, false
	}
	request := routes.Request{Authority: authority, Method: r.Method, Path: path, Sent: sent, Plain: r.Plain, WebSocket: r.WebSocket}
	route, d := t.Decide(request, now, spent)
	if r.Rule != policy.GitWrite {
		return d.Rule, route != nil
	}
	// The query, which tells a fetch from a push, is not recorded: either may
	// be what was asked. Nor is the body, which tells what GraphQL does.
	if route == nil {
		request.RawQuery = "service=git-receive-pack"
		route, d = t.Decide(request, now, spent)
	}
	if route == nil {
		return d.Rule, false
	}
	return policy.GitWrite, route.Git.APIWrite || route.Git.Fetch && !routes.IsGraphQL(path)
}

// port is the one that was asked for; unrecorded it is the usual one.
func (r Refusal) port() uint16 {
	switch {
	case r.Port != 0:
		return r.Port
	case r.Plain:
		return 80
	}
	return 443
}
