package config_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/claude-bottle/claude-bottle/roles/gitgate/config"
)

func publicKey(t testing.TB) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func TestParseCompletesDefaults(t *testing.T) {
	key := publicKey(t)
	c, err := config.Parse([]byte(`repos:
  widgets:
    url: ssh://git@github.com:22/acme/widgets.git
    identity: keys/widgets
    host_key: github.com ` + key + `
  docs:
    url: https://forge.example/acme/docs.git
    token_env: EGRESS_TOKEN_2
    push: []
    ci_paths: deny
`))
	if err != nil {
		t.Fatal(err)
	}
	widgets, docs := c.Repos["widgets"], c.Repos["docs"]
	if !reflect.DeepEqual(widgets.Push, []string{"refs/heads/*"}) || widgets.CIPaths != "ask" || widgets.Force || widgets.Delete {
		t.Errorf("defaults: %+v", widgets)
	}
	if len(docs.Push) != 0 || docs.MayPush("refs/heads/main") {
		t.Errorf("an empty push list allows a push: %+v", docs)
	}
	rendered, err := c.Render()
	if err != nil {
		t.Fatal(err)
	}
	again, err := config.Parse(rendered)
	if err != nil || !reflect.DeepEqual(c, again) {
		t.Errorf("rendered and read again: %v\n%s", err, rendered)
	}
}

func TestParseRefuses(t *testing.T) {
	key := publicKey(t)
	const head = "repos:\n  widgets:\n    url: "
	ssh := "ssh://git@github.com/acme/widgets.git\n    identity: k\n    host_key: github.com " + key + "\n"
	if _, err := config.Parse([]byte(head + ssh)); err != nil {
		t.Fatalf("control: %v", err)
	}
	for _, test := range []struct{ src, want string }{
		{head + ssh + "    froce: true\n", `line 6: unknown key "froce"; did you mean "force"?`},
		{head + ssh + "    push: [main]\n", "push:"},
		{head + ssh + "    push: [refs/heads/../x]\n", "push:"},
		{head + ssh + "    ci_paths: maybe\n", "ci_paths:"},
		{head + ssh + "    token_env: EGRESS_TOKEN_1\n", "belongs to an https url"},
		{head + "ssh://git@github.com/a/b\n    host_key: github.com " + key + "\n", "identity is missing"},
		{head + "ssh://git@github.com/a/b\n    identity: k\n", "host_key is missing"},
		{head + "ssh://git@github.com/a/b\n    identity: k\n    host_key: evil.test " + key + "\n", "not for github.com:22"},
		{head + "ssh://git@github.com/a/b\n    identity: k\n    host_key: github.com nonsense\n", "known_hosts"},
		{head + "https://forge.test/a/b\n    token_env: HOME\n", "token_env"},
		{head + "https://forge.test/a/b\n    identity: k\n", "belong to an ssh url"},
		{head + "https://forge.test/a/b\n    host_key: x\n", "belong to an ssh url"},
		{"repos:\n  ..:\n    url: https://forge.test/a/b\n", "not allowed"},
		{"repos:\n  a/b:\n    url: https://forge.test/a/b\n", "not allowed"},
		{"repos:\n  A:\n    url: https://forge.test/a/b\n", "not allowed"},
		{"repos:\n  x.git:\n    url: https://forge.test/a/b\n", "not allowed"},
		{"repos:\n  x: {}\n", "url is missing"},
	} {
		_, err := config.Parse([]byte(test.src))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s\ngot %v, want %q", test.src, err, test.want)
		}
	}
}

func TestParseURL(t *testing.T) {
	for _, test := range []struct{ url, scheme, user, address, path string }{
		{"ssh://git@github.com:22/acme/widgets.git", "ssh", "git", "github.com:22", "/acme/widgets.git"},
		{"ssh://GitHub.com/acme/widgets", "ssh", "git", "github.com:22", "/acme/widgets"},
		{"ssh://me@forge.test:2222/x", "ssh", "me", "forge.test:2222", "/x"},
		{"ssh://me@[::1]:2222/x", "ssh", "me", "[::1]:2222", "/x"},
		{"ssh://me@forge.test/~me/x.git", "ssh", "me", "forge.test:22", "~me/x.git"},
		{"git@github.com:acme/widgets.git", "ssh", "git", "github.com:22", "acme/widgets.git"},
		{"github.com:acme/widgets.git", "ssh", "git", "github.com:22", "acme/widgets.git"},
		{"git@[::1]:/srv/x.git", "ssh", "git", "[::1]:22", "/srv/x.git"},
		{"https://github.com/acme/widgets.git", "https", "", "github.com:443", "/acme/widgets.git"},
		{"https://forge.test:8443/x", "https", "", "forge.test:8443", "/x"},
	} {
		r, err := config.ParseURL(test.url)
		if err != nil {
			t.Errorf("%s: %v", test.url, err)
			continue
		}
		if r.Scheme != test.scheme || r.User != test.user || r.Address() != test.address || r.Path != test.path {
			t.Errorf("%s: %+v at %s", test.url, r, r.Address())
		}
	}
	for _, url := range []string{
		"", "github.com", "/srv/x.git", "./x.git", "file:///srv/x.git", "git://github.com/a/b", "http://github.com/a/b",
		"ssh://git:hunter2secret@github.com/a/b", "https://hunter2secret@github.com/a/b", "https://github.com/a?token=hunter2secret",
		"ssh://github.com/", "ssh://github.com/a/../b", "ssh://-oProxyCommand=x/a", "ssh://-l@github.com/a", "-u@github.com:a",
		"git@github.com:-x", "ssh://github.com:0/a", "ssh://github.com:99999/a", "ssh://0x7f.1/a", "ssh://git@github.com/a\nb", "ssh://git@github.com/a%0ab",
		"ext::sh -c id",
	} {
		if r, err := config.ParseURL(url); err == nil {
			t.Errorf("%q was read as %+v", url, r)
		} else if strings.Contains(err.Error(), "hunter2secret") {
			t.Errorf("the error repeats a credential: %v", err)
		}
	}
}

func TestHostKeyNames(t *testing.T) {
	key := publicKey(t)
	for _, test := range []struct {
		line, url string
		ok        bool
	}{
		{"github.com " + key, "ssh://github.com/a", true},
		{"GitHub.com,140.82.121.4 " + key, "ssh://github.com/a", true},
		{"[forge.test]:2222 " + key, "ssh://forge.test:2222/a", true},
		{"forge.test " + key, "ssh://forge.test:2222/a", true},
		{"[127.0.0.1]:2222 " + key, "ssh://127.0.0.1:2222/a", true},
		{"[::1]:2222 " + key, "ssh://[::1]:2222/a", true},
		{"::1 " + key, "ssh://[::1]/a", true},
		{"[forge.test]:2223 " + key, "ssh://forge.test:2222/a", false},
		{"*.test " + key, "ssh://forge.test/a", false},
		{"@revoked github.com " + key, "ssh://github.com/a", false},
		{"@cert-authority github.com " + key, "ssh://github.com/a", false},
		{"github.com " + key + "\ngithub.com " + key, "ssh://github.com/a", false},
	} {
		remote, err := config.ParseURL(test.url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := config.ParseHostKey(test.line, remote); (err == nil) != test.ok {
			t.Errorf("%s for %s: %v", test.line, test.url, err)
		}
	}
}

func TestMayPush(t *testing.T) {
	for _, test := range []struct {
		pattern, ref string
		want         bool
	}{
		{"refs/heads/*", "refs/heads/main", true},
		{"refs/heads/*", "refs/heads/a/b", true},
		{"refs/heads/*", "refs/tags/v1", false},
		{"refs/heads/*", "refs/headsx", false},
		{"refs/heads/main", "refs/heads/main", true},
		{"refs/heads/main", "refs/heads/main2", false},
		{"refs/heads/*-wip", "refs/heads/a-wip", true},
		{"refs/heads/*-wip", "refs/heads/a-wip-b", false},
		{"refs/*/x/*/z", "refs/heads/x/y/z", true},
		{"refs/*/x/*/z", "refs/heads/x/z", false},
		{"refs/heads/a*a", "refs/heads/a", false},
	} {
		if got := (config.Repo{Push: []string{test.pattern}}).MayPush(test.ref); got != test.want {
			t.Errorf("%s on %s: %v", test.pattern, test.ref, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("repos:\n  x:\n    url: https://forge.test/a/b\n    push: [refs/heads/*]\n"))
	f.Add([]byte("repos:\n  x:\n    url: git@forge.test:a/b\n    identity: k\n    host_key: forge.test " + publicKey(f) + "\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := config.Parse(src)
		if err != nil {
			return
		}
		rendered, err := c.Render()
		if err != nil {
			t.Fatal(err)
		}
		again, err := config.Parse(rendered)
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("not the same again: %v\n%s", err, rendered)
		}
	})
}
