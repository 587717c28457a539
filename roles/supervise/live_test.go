package supervise_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/roles/supervise"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

const live = `routes:
  - host: open.example
  - host: "*.wild.example"
  - host: api.example
    methods: [GET]
    paths: [/repos/acme]
    auth: {scheme: Bearer, token_env: EGRESS_TOKEN_1}
  - host: granted.example
    grant: abc
    expires: 2099-01-01T00:00:00Z
  - host: over.example
    grant: def
    expires: 2001-01-01T00:00:00Z
`

func TestListEgressRoutes(t *testing.T) {
	s := start(t, t.TempDir(), func(c *supervise.Config) { c.Routes = table(t, live) })
	result, err := s.client(nil).CallTool(t.Context(), &mcp.CallToolParams{Name: "list-egress-routes"})
	if err != nil || result.IsError {
		t.Fatal(err, text(result))
	}
	var list struct {
		Generation int
		Routes     []map[string]any
	}
	into(t, result.StructuredContent, &list)
	if list.Generation != 7 || len(list.Routes) != 5 {
		t.Errorf("%+v", list)
	}
	api, _ := json.Marshal(list.Routes[2])
	if string(api) != `{"host":"api.example","methods":["GET"],"paths":["/repos/acme"],"ports":[443]}` &&
		string(api) != `{"host":"api.example","methods":["GET"],"paths":["/repos/acme"]}` {
		t.Errorf("%s", api)
	}
	if list.Routes[3]["expires"] != "2099-01-01T00:00:00Z" {
		t.Errorf("%v", list.Routes[3])
	}
	if strings.Contains(text(result), "EGRESS_TOKEN") {
		t.Error("the name of a token is told")
	}
	unknown := start(t, t.TempDir(), nil)
	unknown.fails(unknown.client(nil), "list-egress-routes", nil)
}

func TestWhatIsAllowedAlreadyIsNoProposal(t *testing.T) {
	s := start(t, t.TempDir(), func(c *supervise.Config) { c.Wait, c.Routes = 0, table(t, live) })
	session := s.client(nil)
	for _, c := range []struct {
		tool      string
		arguments map[string]any
		allowed   bool
	}{
		{"egress-block", map[string]any{"host": "OPEN.example"}, true},
		{"egress-block", map[string]any{"host": "open.example", "methods": []string{"POST"}, "paths": []string{"/x"}}, true},
		{"egress-block", map[string]any{"host": "a.wild.example"}, true},
		{"egress-block", map[string]any{"host": "api.example", "methods": []string{"GET"}, "paths": []string{"/repos/acme/x"}}, true},
		{"egress-block", map[string]any{"host": "granted.example"}, true},
		{"pipelock-block", map[string]any{"failed_url": "https://open.example/x"}, true},
		{"egress-block", map[string]any{"host": "wild.example"}, false},
		{"egress-block", map[string]any{"host": "api.example"}, false},
		{"egress-block", map[string]any{"host": "api.example", "methods": []string{"GET", "POST"}, "paths": []string{"/repos/acme"}}, false},
		{"egress-block", map[string]any{"host": "api.example", "methods": []string{"GET"}, "paths": []string{"/repos/acme", "/repos/acme-evil"}}, false},
		{"egress-block", map[string]any{"host": "over.example"}, false},
		{"pipelock-block", map[string]any{"failed_url": "https://closed.example/x"}, false},
	} {
		c.arguments["justification"] = "why"
		a := s.call(session, c.tool, c.arguments)
		switch {
		case c.allowed && (a.Status != proposal.Approved || a.ProposalID != "" || !strings.HasPrefix(a.Notes, "already allowed")):
			t.Errorf("%v: %+v", c.arguments, a)
		case !c.allowed && (a.Status != proposal.Pending || a.ProposalID == ""):
			t.Errorf("%v: %+v", c.arguments, a)
		}
	}
	s.open(6)
}

func TestWhatNoRouteCanSayIsNotAsked(t *testing.T) {
	s := start(t, t.TempDir(), func(c *supervise.Config) { c.Wait = 0 })
	session := s.client(nil)
	s.call(session, "egress-block", map[string]any{"host": "a.example", "methods": []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "REPORT"}, "justification": "why"})
	for _, e := range s.open(1) {
		if _, err := routes.Parse([]byte(`routes: [` + string(e.Rule) + `]`)); err != nil {
			t.Errorf("the rule is no route: %v", err)
		}
	}
	for _, host := range []string{"_egress.local", "1.1.1.1"} {
		_, err := routes.New([]routes.Route{{Host: host}})
		result, callErr := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "egress-block", Arguments: map[string]any{"host": host, "justification": "why"}})
		if callErr != nil || result.IsError != (err != nil) {
			t.Errorf("%s: as a route %v, asked %s", host, err, text(result))
		}
	}
}

func TestSecretsStayOut(t *testing.T) {
	const secret = "correct-horse-battery-staple"
	scanner, err := secretscan.New([]string{secret})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, t.TempDir(), func(c *supervise.Config) { c.Wait, c.Scanner = 0, scanner })
	session := s.client(nil)
	s.call(session, "egress-block", map[string]any{"host": "a.example", "justification": "log in with " + secret})
	if words := s.fails(session, "egress-block", map[string]any{"host": "a.example", "paths": []string{"/" + secret}, "justification": "why"}); strings.Contains(words, secret) {
		t.Error(words)
	}
	p := s.open(1)[0].Proposal
	if whole, _ := json.Marshal(p); strings.Contains(string(whole), secret) || !strings.Contains(string(whole), "redacted") {
		t.Errorf("%s", whole)
	}
	r := answer(p, proposal.Approved)
	r.Notes = "use " + secret
	s.write(p.ID, r)
	if a := s.call(session, "check-proposal", map[string]any{"proposal_id": p.ID}); a.Status != proposal.Approved || strings.Contains(a.Notes, secret) {
		t.Errorf("%+v", a)
	}
	if log, err := os.ReadFile(s.log); err != nil || strings.Contains(string(log), secret) || !strings.Contains(string(log), p.ID) {
		t.Errorf("%v, audit log:\n%s", err, log)
	}
}
