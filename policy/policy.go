// Package policy holds the one type every verdict of the bundle is told in.
package policy

import "encoding/json"

// Rule names why a request was refused. The names are a contract: they are
// what the agent, the audit log and the operator see.
type Rule string

// The rules, in the order in which egress asks them.
const (
	Malformed         Rule = "malformed"
	IPLiteral         Rule = "ip-literal"
	NoRoute           Rule = "no-route"
	GrantExpired      Rule = "grant-expired"
	Port              Rule = "port"
	AuthorityMismatch Rule = "authority-mismatch"
	Upgrade           Rule = "upgrade"
	Method            Rule = "method"
	Path              Rule = "path"
	GitWrite          Rule = "git-write"
	Secret            Rule = "secret"
	CredentialMissing Rule = "credential-missing"
	Address           Rule = "address"
)

// Decision is a verdict on one request. The zero Decision refuses.
type Decision struct {
	Allow bool
	// Rule is empty when Allow.
	Rule Rule
	// Role is the role that decided: "egress", "git-gate", "supervise".
	Role string
	// Host, Method and Path are what was decided on, canonical where canon
	// could read them, without query.
	Host, Method, Path string
	// Port, Plain (plain HTTP) and WebSocket (the request asks to become one)
	// complete what was asked, so that it can be decided again; Port 0 =
	// unknown. Body tells none of them.
	Port             uint16
	Plain, WebSocket bool
	// Reason says in one sentence what happened; Remedy what the agent can do.
	Reason, Remedy string
}

// BlockHeader is the response header that names the rule of a refusal.
const BlockHeader = "X-Claude-Bottle-Block"

// Body is the JSON body of the 403 that a refusal answers with.
func (d Decision) Body() []byte {
	b, err := json.Marshal(struct {
		Error  string `json:"error"`
		Role   string `json:"role"`
		Rule   Rule   `json:"rule"`
		Host   string `json:"host"`
		Method string `json:"method"`
		Path   string `json:"path"`
		Reason string `json:"reason"`
		Remedy string `json:"remedy"`
	}{"blocked", d.Role, d.Rule, d.Host, d.Method, d.Path, d.Reason, d.Remedy})
	if err != nil {
		panic(err) // strings always marshal
	}
	return append(b, '\n')
}
