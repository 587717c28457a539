package proposal_test

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/proposal"
)

func add(t *testing.T, draft proposal.Draft) proposal.Proposal {
	t.Helper()
	q, err := proposal.Create(filepath.Join(t.TempDir(), "q"), proposal.Options{Slug: slug})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	p, filed, err := q.Add(draft)
	if err != nil || !filed {
		t.Fatal(filed, err)
	}
	if err := p.Verify(); err != nil {
		t.Error(err)
	}
	return p
}

func TestEgressRule(t *testing.T) {
	draft, err := proposal.AskEgress("API.GitHub.com.", []string{"post", "GET", "Get"}, []string{"/repos//acme", "/repos/acme", "/%61"}, "to read")
	if err != nil {
		t.Fatal(err)
	}
	p := add(t, draft)
	const rule = `{"host":"api.github.com","methods":["GET","POST"],"paths":["/a","/repos/acme"]}`
	if string(p.Rule) != rule {
		t.Errorf("rule %s", p.Rule)
	}
	sum := sha256.Sum256([]byte(`{"justification":"to read","kind":"egress-block","rule":` + rule + `,"slug":"` + slug + `"}`))
	if p.Review != hex.EncodeToString(sum[:]) {
		t.Error("the review is not the hash of kind, slug, rule and justification")
	}
	if draft, err = proposal.AskEgress("1.1.1.1", nil, []string{"/", "/x"}, "why"); err != nil {
		t.Fatal(err)
	}
	if got := string(add(t, draft).Rule); got != `{"host":"1.1.1.1"}` {
		t.Errorf("rule %s", got)
	}
}

func TestEgressRuleRefuses(t *testing.T) {
	many := strings.Split(strings.Repeat("/a ", 33), " ")[:33]
	for _, c := range []struct {
		name, host     string
		methods, paths []string
	}{
		{"nothing", "", nil, nil},
		{"wildcard", "*.example.com", nil, nil},
		{"everything", "*", nil, nil},
		{"regular expression", ".*", nil, nil},
		{"port", "example.com:8443", nil, nil},
		{"scheme", "https://example.com", nil, nil},
		{"path in host", "example.com/x", nil, nil},
		{"userinfo", "me:pw@example.com", nil, nil},
		{"line break", "example.com\nevil.com", nil, nil},
		{"NUL", "example.com\x00.evil.com", nil, nil},
		{"network", "10.0.0.0/8", nil, nil},
		{"metadata", "169.254.169.254", nil, nil},
		{"loopback", "127.0.0.1", nil, nil},
		{"decimal address", "2130706433", nil, nil},
		{"mapped address", "::ffff:8.8.8.8", nil, nil},
		{"bidi", "example\u202emoc.com", nil, nil},
		{"CONNECT", "example.com", []string{"CONNECT"}, nil},
		{"TRACE", "example.com", []string{"trace"}, nil},
		{"any method", "example.com", []string{"*"}, nil},
		{"path wildcard", "example.com", nil, []string{"/.*"}},
		{"relative path", "example.com", nil, []string{"x"}},
		{"empty path", "example.com", nil, []string{""}},
		{"climbing path", "example.com", nil, []string{"/../x"}},
		{"encoded slash", "example.com", nil, []string{"/a%2fb"}},
		{"query", "example.com", nil, []string{"/a?token=x"}},
		{"too many paths", "example.com", nil, many},
		{"long path", "example.com", nil, []string{"/" + strings.Repeat("a", 2000)}},
	} {
		if draft, err := proposal.AskEgress(c.host, c.methods, c.paths, "why"); err == nil {
			t.Errorf("%s: accepted as %+v", c.name, draft.Rule)
		}
	}
	for _, why := range []string{"", " \t\n", "\u200b\u2060"} {
		if _, err := proposal.AskEgress("example.com", nil, nil, why); err == nil {
			t.Errorf("justification %+q accepted", why)
		}
	}
}

func TestPipelockRule(t *testing.T) {
	draft, err := proposal.AskPipelock("https://Files.Example.com/a/b?token=hunter2#x", "why")
	if err != nil {
		t.Fatal(err)
	}
	p := add(t, draft)
	if string(p.Rule) != `{"host":"files.example.com"}` || string(p.Request) != `{"failed_url":"https://files.example.com/a/b"}` {
		t.Errorf("rule %s, request %s", p.Rule, p.Request)
	}
	for _, bad := range []string{
		"", "example.com", "http://example.com/", "https:example.com", "https://", "https://me:pw@example.com/",
		"https://example.com:8443/", "https://*.example.com/", "https://[::1]/", "https://10.0.0.1/", "ftp://example.com",
		"https://exa mple.com", "https://example.com%2eevil.com/", "//example.com/", "javascript:alert(1)",
	} {
		if draft, err := proposal.AskPipelock(bad, "why"); err == nil {
			t.Errorf("%q accepted as %+v", bad, draft.Rule)
		}
	}
}

func TestOtherRules(t *testing.T) {
	for _, make := range []func() (proposal.Draft, error){
		func() (proposal.Draft, error) { return proposal.AskCapability("more memory", "why") },
		func() (proposal.Draft, error) {
			return proposal.AskFinding(proposal.FindingRule{Host: "a.example", Rule: "github-pat", Fingerprint: "ab12"}, "a github-pat in the body")
		},
		func() (proposal.Draft, error) {
			return proposal.AskPush(proposal.PushRule{Repository: "widgets", Ref: "refs/heads/main", Commit: "ab12"}, "a workflow changes")
		},
		func() (proposal.Draft, error) {
			return proposal.AskPush(proposal.PushRule{Repository: "widgets", Rule: "github-pat", Fingerprint: "ab12"}, "a secret")
		},
	} {
		draft, err := make()
		if err != nil {
			t.Fatal(err)
		}
		p := add(t, draft)
		if rule, err := proposal.ParseRule(p.Kind, p.Rule); err != nil || rule == nil {
			t.Errorf("%s: %v", p.Rule, err)
		}
	}
	if _, err := proposal.AskPush(proposal.PushRule{Repository: "w", Rule: "r", Fingerprint: "f", Ref: "r", Commit: "c"}, "both"); err == nil {
		t.Error("one approval for two things")
	}
	if _, err := proposal.AskCapability("\u200b", "why"); err == nil {
		t.Error("an empty change was accepted")
	}
}

func FuzzParseRule(f *testing.F) {
	f.Add("egress-block", `{"host":"a.example","methods":["GET"],"paths":["/x"]}`)
	f.Add("finding", `{"host":"a.example","rule":"r","fingerprint":"f"}`)
	f.Add("git-push", `{"repository":"w","ref":"refs/heads/x","commit":"c"}`)
	f.Fuzz(func(t *testing.T, kind, raw string) {
		rule, err := proposal.ParseRule(proposal.Kind(kind), []byte(raw))
		if err != nil {
			return
		}
		if r, ok := rule.(*proposal.EgressRule); ok {
			if _, err := proposal.AskEgress(r.Host, r.Methods, r.Paths, "why"); err != nil {
				t.Errorf("a rule that cannot be asked for: %s: %v", raw, err)
			}
			if strings.ContainsAny(r.Host, "*/ @") {
				t.Errorf("host %q", r.Host)
			}
		}
	})
}
