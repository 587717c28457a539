package replay_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/replay"
)

// proposed are the rules of a suggestion in words.
func proposed(s replay.Suggestion) (rules []string) {
	for _, r := range s.Rules {
		text := fmt.Sprintf("%d %s", r.Covers, r.Route.Host)
		for _, port := range r.Route.Ports {
			text += fmt.Sprintf(":%d", port)
		}
		rules = append(rules, text+" "+strings.Join(r.Route.Methods, ",")+" "+strings.Join(r.Route.Paths, ","))
	}
	return rules
}

// gets are refused requests, for 1 to n in place of #.
func gets(path string, n int) (refusals []replay.Refusal) {
	for i := range n {
		refusals = append(refusals, request(policy.Path, "GET", "api.test", strings.ReplaceAll(path, "#", fmt.Sprint(i+1))))
	}
	return refusals
}

func with(method string, refusals []replay.Refusal) []replay.Refusal {
	for i := range refusals {
		refusals[i].Method = method
	}
	return refusals
}

func TestSuggest(t *testing.T) {
	plain := request(policy.NoRoute, "GET", "api.test", "/a/b/c")
	plain.Plain, plain.Port = true, 80
	otherPort := connection("api.test")
	otherPort.Port, otherPort.Rule = 8443, policy.Port
	socket := request(policy.Upgrade, "GET", "api.test", "/ws")
	socket.WebSocket = true
	many := connection("api.test")
	many.Count = 40
	for name, test := range map[string]struct {
		refusals []replay.Refusal
		want     []string
		leftOut  string
	}{
		"one path":              {gets("/repos/a/b/issues/#", 1), []string{"1 api.test GET /repos/a/b/issues/1"}, ""},
		"paths with ids":        {gets("/repos/a/b/issues/#", 14), []string{"14 api.test GET /repos/a/b/issues"}, ""},
		"ids in the middle":     {gets("/users/#/posts", 5), []string{"5 api.test GET /users"}, ""},
		"two shared segments":   {slices.Concat(gets("/repos/a/b/issues/#", 3), gets("/repos/a/b/pulls/#", 2)), []string{"5 api.test GET /repos/a/b"}, ""},
		"one shared segment":    {slices.Concat(gets("/v1/models", 1), gets("/v1/files", 1)), []string{"2 api.test GET /v1/files,/v1/models"}, ""},
		"nothing shared":        {slices.Concat(gets("/lodash", 1), gets("/react", 1)), []string{"2 api.test GET /lodash,/react"}, ""},
		"ids at the root":       {gets("/#", 3), []string{"3 api.test GET /1,/2,/3"}, ""},
		"trailing slashes":      {slices.Concat(gets("/simple/a-b/", 1), gets("/simple/c-d/", 1)), []string{"2 api.test GET /simple/a-b/,/simple/c-d/"}, ""},
		"too many to list":      {named(200), []string{"200 api.test GET "}, ""},
		"the root":              {gets("/", 1), nil, "no plain route opens them: path"},
		"what writes":           {with("POST", gets("/repos/a/b/issues/#/comments", 2)), []string{"2 api.test POST /repos/a/b/issues/1/comments,/repos/a/b/issues/2/comments"}, ""},
		"what writes often":     {with("POST", gets("/repos/a/b/issues/#/comments", 3)), []string{"3 api.test POST /repos/a/b/issues"}, ""},
		"what writes elsewhere": {with("POST", slices.Concat(gets("/repos/a/b/issues", 1), gets("/repos/a/c/labels", 1))), []string{"2 api.test POST /repos/a/b/issues,/repos/a/c/labels"}, ""},
		"what writes content":   {with("POST", slices.Concat(gets("/repos/a/b/issues", 1), gets("/repos/a/c/pulls", 1))), []string{"1 api.test POST /repos/a/b/issues"}, "no plain route opens them: path"},
		"reading and writing":   {slices.Concat(gets("/repos/a/b/issues/#", 4), with("POST", gets("/repos/a/b/issues", 1))), []string{"4 api.test GET /repos/a/b/issues", "1 api.test POST /repos/a/b/issues"}, ""},
		"connections":           {[]replay.Refusal{many}, []string{"40 api.test GET,HEAD "}, ""},
		"connection and paths":  {slices.Concat([]replay.Refusal{many}, gets("/repos/a/b/issues/#", 4)), []string{"44 api.test GET /repos/a/b/issues"}, ""},
		"plain HTTP":            {[]replay.Refusal{plain}, []string{"1 api.test:80 GET /a/b/c"}, ""},
		"another port":          {[]replay.Refusal{otherPort}, []string{"1 api.test:8443 GET,HEAD "}, ""},
		"WebSocket":             {[]replay.Refusal{socket}, nil, "no plain route opens them: upgrade"},
		"encoded slash":         {gets("/@scope%2Fname", 1), nil, "no plain route opens them: path"},
		"a push":                {[]replay.Refusal{request(policy.GitWrite, "POST", "api.test", "/a.git/git-receive-pack")}, nil, "no plain route opens them: git-write"},
		"a secret":              {append(gets("/a/b/#", 3), request(policy.Secret, "POST", "api.test", "/a")), nil, "a request to it held a secret"},
		"an address":            {append(gets("/a/b/#", 3), request(policy.Address, "GET", "api.test", "/a")), nil, "its address is not public"},
		"bad form":              {append(gets("/a/b/#", 3), request(policy.Malformed, "GET", "api.test", "/a")), nil, "a request to it was malformed"},
		"an IP literal":         {[]replay.Refusal{{Rule: policy.IPLiteral, Host: "203.0.113.7", Port: 443, Method: "CONNECT", Count: 2}}, nil, "an address, not a name"},
		"an odd IP literal":     {[]replay.Refusal{{Rule: policy.IPLiteral, Host: "0x7f.1", Port: 443, Method: "CONNECT", Count: 2}}, nil, "no host name"},
		"no name":               {[]replay.Refusal{connection("*.api.test")}, nil, "no host name"},
		"a name of this host":   {[]replay.Refusal{connection("localhost")}, nil, "no name of the public internet"},
		"egress itself":         {[]replay.Refusal{connection("_egress.local")}, nil, "no plain route opens them: no-route"},
		"counted only":          {[]replay.Refusal{{Rule: policy.NoRoute, Host: "api.test", Count: 9}}, nil, "no plain route opens them: no-route"},
		"allowed meanwhile":     {[]replay.Refusal{connection("live.test"), request(policy.Path, "GET", "live.test", "/x")}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := replay.Suggest(test.refusals, table(t, "routes:\n  - host: live.test\n"), now, nil)
			if got := proposed(s); !slices.Equal(got, test.want) {
				t.Errorf("rules %q, want %q", got, test.want)
			}
			var why string
			for _, l := range s.LeftOut {
				why += l.Why
				if l.Refusals == 0 {
					t.Errorf("%s: none", l.Host)
				}
			}
			if why != test.leftOut {
				t.Errorf("left out: %q, want %q", why, test.leftOut)
			}
		})
	}
}

// named are refusals of paths that have nothing in common.
func named(n int) (refusals []replay.Refusal) {
	for i := range n {
		refusals = append(refusals, gets("/package-"+strings.Repeat("x", i), 1)...)
	}
	return refusals
}

// What is suggested opens nothing that no refusal lies under, for hosts and
// methods.
func TestSuggestionsAreNarrow(t *testing.T) {
	refusals := slices.Concat(gets("/repos/a/b/issues/#", 14), with("POST", gets("/graph/q", 1)), []replay.Refusal{connection("cdn.test")})
	s := replay.Suggest(refusals, table(t, "routes: []\n"), now, nil)
	for _, beyond := range []replay.Refusal{
		request(policy.NoRoute, "GET", "api.test", "/repos/a/c"), request(policy.NoRoute, "POST", "api.test", "/repos/a/b/issues/1"),
		request(policy.NoRoute, "GET", "api.test", "/graph/q"), request(policy.NoRoute, "POST", "cdn.test", "/"),
		request(policy.NoRoute, "GET", "sub.api.test", "/repos/a/b/issues/1"), connection("test"),
	} {
		for _, rule := range s.Rules {
			result, err := replay.JudgeRoute([]replay.Refusal{beyond}, table(t, "routes: []\n"), rule.Route, replay.Asked{}, now, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(result.Would) > 0 {
				t.Errorf("%v opens %s", proposed(replay.Suggestion{Rules: []replay.Suggested{rule}}), said(result.Would))
			}
		}
	}
	if len(s.Rules) != 3 {
		t.Errorf("the control: %q", proposed(s))
	}
}
