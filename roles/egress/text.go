package egress

import (
	"errors"
	"strings"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/policy"
)

// The remedies: what the agent can do about a refusal. They are read by a
// program that acts on them, so each says one thing to do.
const (
	remedyMalformed = "send the request in its plain form, by CONNECT for https and as an absolute URL for http"
	remedyAuthority = "open a connection of its own for each host"
	remedyRoute     = "ask for the host with the tool egress-block of the MCP server supervise"
	remedyGrant     = "ask for it again with the tool egress-block of the MCP server supervise"
	remedyLiteral   = "ask for the host by its name"
	remedyWrite     = "push through git-gate, or ask with the tool egress-block of the MCP server supervise"
	remedySecret    = "send the request without it; if it is no secret, the operator can clear the finding"
	remedyToken     = "tell the operator that the route's token is not set"
	remedyAddress   = "tell the operator: the name leads to an address that is not public"
	remedyUpgrade   = "use plain requests, or ask the operator for a route with websocket: true"
	remedyDefault   = "ask the operator for a route that allows it, with the tool egress-block of the MCP server supervise"
)

// remedies for the refusals of the routes, where they leave it open.
var remedies = map[policy.Rule]string{
	policy.NoRoute:      remedyRoute,
	policy.GrantExpired: remedyGrant,
	policy.IPLiteral:    remedyLiteral,
	policy.GitWrite:     remedyWrite,
	policy.Upgrade:      remedyUpgrade,
}

// blocked is a refusal of egress about a request.
func blocked(rule policy.Rule, about policy.Decision, reason, remedy string) policy.Decision {
	about.Allow, about.Rule, about.Role = false, rule, roleName
	about.Reason, about.Remedy = reason, remedy
	return about
}

// completed is a refusal of the routes, with what they cannot know.
func completed(d, about policy.Decision) policy.Decision {
	remedy := d.Remedy
	if remedy == "" {
		remedy = remedies[d.Rule]
	}
	if remedy == "" {
		remedy = remedyDefault
	}
	rule := d.Rule
	if rule == "" {
		rule = policy.NoRoute
	}
	return blocked(rule, about, d.Reason, remedy)
}

// unreadableHost is the refusal of an authority that canon cannot read.
func unreadableHost(about policy.Decision, authority string) policy.Decision {
	_, err := canon.ParseAuthority(authority, 80)
	switch {
	case strings.Contains(authority, "@"): // err would tell the password
		return blocked(policy.Malformed, about, "a user does not belong in the address", remedyMalformed)
	case errors.Is(err, canon.ErrIPForm):
		return blocked(policy.IPLiteral, about, err.Error(), remedyLiteral)
	case err == nil:
		return blocked(policy.Malformed, about, "the address has no port", remedyMalformed)
	default:
		return blocked(policy.Malformed, about, err.Error(), remedyMalformed)
	}
}
