package egress

import (
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
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

// TestGitFetches with the real client from the real server: where a route lets
// it, history goes in, and nothing goes out.
func TestGitFetches(t *testing.T) {
	l := newLab(t, route("api.test", "git: {fetch: true}")+route("other.test"))
	env := append(os.Environ(), "HOME="+l.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@test", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@test",
		"https_proxy=http://"+l.proxy, "GIT_SSL_CAINFO="+l.path("ca.pem"))
	git := func(args ...string) (string, error) {
		cmd := exec.Command("git", args...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := git(args...)
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(out)
	}
	libexec := run("--exec-path")
	l.origin.handler = (&cgi.Handler{
		Path: filepath.Join(libexec, "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + l.path("served"), "GIT_HTTP_EXPORT_ALL=1"},
	}).ServeHTTP
	bare, work := l.path("served/acme/widgets.git"), l.path("work")
	run("init", "-q", "-b", "main", work)
	commit := func(name, text string) {
		l.write("work/"+name, text)
		run("-C", work, "add", name)
		run("-C", work, "commit", "-q", "-m", name)
	}
	commit("one", sourceText(t, 100_000))
	run("clone", "-q", "--bare", work, bare)
	run("-C", bare, "config", "http.receivepack", "true")

	clone := l.path("clone")
	run("clone", "-q", "https://api.test/acme/widgets.git", clone)
	for _, name := range strings.Fields("a b c d e") {
		commit(name, name+run("-C", work, "rev-parse", "HEAD"))
	}
	run("-C", work, "push", "-q", bare, "main")
	run("-C", clone, "pull", "-q", "--ff-only")
	if got, want := run("-C", clone, "rev-parse", "HEAD"), run("-C", bare, "rev-parse", "main"); got != want {
		t.Errorf("the clone is at %s, want %s", got, want)
	}
	run("clone", "-q", "--depth", "3", "-c", "protocol.version=0", "https://api.test/acme/widgets.git", l.path("shallow"))
	run("-C", l.path("shallow"), "fetch", "-q", "--deepen", "2")

	if out, err := git("-C", clone, "push", "origin", "HEAD:refs/heads/out"); err == nil || !strings.Contains(out, "403") {
		t.Errorf("a push: %v\n%s", err, out)
	}
	if out, err := git("clone", "-q", "https://other.test/acme/widgets.git", l.path("none")); err == nil || !strings.Contains(out, "403") {
		t.Errorf("a clone without git: {fetch: true}: %v\n%s", err, out)
	}
	if refs := run("-C", bare, "for-each-ref", "--format=%(refname)"); refs != "refs/heads/main" {
		t.Errorf("the origin has %s", refs)
	}
}
