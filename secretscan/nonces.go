package secretscan

import "regexp"

// nonceRule is the rule that takes any random value under a name with "key" or
// "token" in it for a secret.
const nonceRule = "generic-api-key"

// nonces are values that clients draw afresh to tell their own requests and
// processes apart. Gitleaks has them for keys because of their names; they open
// nothing, and stand in every request of the clients that use them. A value of
// any other form under these names is still a finding.
const nonces = `(?i)(?:^n?|[^a-z0-9])(?:` + // the n is that of a line break in JSON
	`(?:prompt[_-]?cache|idempotency|cache|dedupe|partition)[_-]?key[\s"'\\:=]{1,8}[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}` +
	`|claude_code_messaging_token=[0-9a-f]{32}` + // of a socket inside the bottle, in the environment of every command
	`)(?:\W|\\[nr])?$` // nothing but the sign that ends the value: the nonce is the value, not a part of its name

// nonceList is nonces as an allowlist.
func nonceList() *allowlist {
	return &allowlist{target: "match", pattern: func() *regexp.Regexp { return nonceExpression }}
}

var nonceExpression = regexp.MustCompile(nonces)
