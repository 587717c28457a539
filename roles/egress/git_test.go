package egress

import (
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/policy"
)

// TestGitWrites need a route that says so; reads do not.
func TestGitWrites(t *testing.T) {
	l := newLab(t, route("api.test")+route("other.test", "git: {fetch: true, api_write: true}"))
	const query, mutation = `{"query":"query { viewer { login } }"}`, `{"query":"mutation { createRef(input: {}) { clientMutationId } }"}`
	for _, test := range []struct {
		name, method, path, body string
		write                    bool
	}{
		{"page", "GET", "/acme/widgets", "", false},
		{"push", "POST", "/acme/widgets.git/git-receive-pack", "0000", true},
		{"push's advertisement", "GET", "/acme/widgets.git/info/refs?service=git-receive-pack", "", true},
		{"fetch's advertisement", "GET", "/acme/widgets.git/info/refs?service=git-upload-pack", "", true},
		{"contents", "PUT", "/repos/acme/widgets/contents/a", "{}", true},
		{"query", "POST", "/graphql", query, false},
		{"mutation", "POST", "/graphql", mutation, true},
		{"mutation at another path", "POST", "/api/graphql", mutation, true},
		{"no JSON", "POST", "/graphql", "mutation { x }", true},
		{"longer than can be read", "POST", "/graphql", `{"query":"query { a }","variables":{"a":"` + strings.Repeat("x ", maxGraphQL/2) + `"}}`, true},
	} {
		json := header("Content-Type", "application/json")
		a := l.ask(test.method, "https://api.test"+test.path, test.body, json)
		if test.write {
			l.wantBlock(test.name, a, policy.GitWrite)
		} else if got := l.wantThrough(test.name, a); got.body != test.body {
			t.Errorf("%s: the body arrived as %q", test.name, got.body)
		}
		if got := l.wantThrough(test.name+", allowed", l.ask(test.method, "https://other.test"+test.path, test.body, json)); len(got.body) != min(len(test.body), maxCollected) {
			t.Errorf("%s, allowed: %d bytes arrived", test.name, len(got.body))
		}
	}
	l.wantBlock("a secret in a query", l.ask("POST", "https://api.test/graphql", `{"query":"query { a(b: \"`+known+`\") }"}`, header("Content-Type", "application/json")), policy.Secret)
}
