package secretscan

// ownRules find what gitleaks' rules of the same names do not. Their matches
// are judged as strictly as those of loose forms.
var ownRules = []ruleSource{
	// Also other kinds of keys than for the API, in the lower case of host
	// names, and cut off at the end of a label.
	{ID: "anthropic-api-key", Regex: `(?i)sk-ant-[a-z]{2,10}[0-9]{2}-([a-z0-9_-]{32,})`, Entropy: 3.8, SecretGroup: 1},
	{ID: "aws-access-token", Regex: `(akia[a-z2-7]{16})`, Entropy: 3, SecretGroup: 1},
	// A value behind a name in a path, a file name or a reference.
	{ID: "generic-api-key", Regex: `(?i)(?:api[_-]?key|secret|token|passw(?:or)?d)s?(?:/|[_-])([a-z0-9][\w=-]{19,150})`, Entropy: 3, SecretGroup: 1, drawn: true},
	// A secret key of AWS, whose first character may be a sign and whose signs
	// end the value of a name elsewhere.
	{ID: "generic-api-key", Regex: `(?i)(?:api[_-]?key|secret|token|passw(?:or)?d|access[_-]?key)[\w.-]{0,24}[\\"'\s]{0,5}(?:=>?|:)[\\"'\s]{0,5}([a-z0-9+/]{40})(?:[^a-z0-9+/=]|$)`, Entropy: 3, SecretGroup: 1, drawn: true},
	// Gitleaks wants one of a few signs after a token, and of its beginning only
	// two letters, too few for a looser form.
	{ID: "jwt", Regex: `(ey[AIJ][\w-]{12,}\.ey[AIJ][\w-]{12,}\.[\w-]{10,})`, Entropy: 3, SecretGroup: 1},
	// As a form carries it, with a plus sign for each blank.
	{ID: "private-key", Regex: `(?i)-----BEGIN[ +A-Z0-9_-]{0,100}PRIVATE[ +]KEY(?:[ +]BLOCK)?-----[\s\S-]{64,}?KEY(?:[ +]BLOCK)?-----`, Entropy: 3},
	{ID: "generic-api-key", Regex: `(?i)bearer[ +]([\w.=+/~-]{20,500})`, Entropy: 3, SecretGroup: 1, drawn: true},
}
