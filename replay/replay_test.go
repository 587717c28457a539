package replay_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/replay"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func table(t *testing.T, text string) *routes.Table {
	t.Helper()
	parsed, err := routes.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// request is a refused request over TLS.
func request(rule policy.Rule, method, host, path string) replay.Refusal {
	return replay.Refusal{Rule: rule, Host: host, Port: 443, Method: method, Path: path, Count: 1}
}

func connection(host string) replay.Refusal {
	return replay.Refusal{Rule: policy.NoRoute, Host: host, Port: 443, Method: "CONNECT", Count: 1}
}

// said are refusals in words.
func said(refusals []replay.Refusal) string {
	var words []string
	for _, r := range refusals {
		words = append(words, r.Method+" "+r.Host+r.Path)
	}
	return strings.Join(words, ", ")
}

func TestJudge(t *testing.T) {
	const live = "routes:\n  - host: api.test\n    methods: [GET]\n    paths: [/open]\n"
	const allowed = "routes:\n  - host: new.test\n"
	get := request(policy.NoRoute, "GET", "new.test", "/a")
	plain, otherPort, socket := get, get, get
	plain.Plain, plain.Port = true, 80
	otherPort.Port = 8443
	socket.WebSocket, socket.Rule = true, policy.Upgrade
	for name, test := range map[string]struct {
		live    string
		route   routes.Route
		refused replay.Refusal
		passes  bool
	}{
		"path under the rule":      {live, routes.Route{Host: "api.test", Paths: []string{"/v1"}}, request(policy.Path, "GET", "api.test", "/v1/x"), true},
		"path beside the rule":     {live, routes.Route{Host: "api.test", Paths: []string{"/v1"}}, request(policy.Path, "GET", "api.test", "/v10"), false},
		"method of the rule":       {live, routes.Route{Host: "api.test", Methods: []string{"POST"}}, request(policy.Method, "POST", "api.test", "/open"), true},
		"another method":           {live, routes.Route{Host: "api.test", Methods: []string{"POST"}}, request(policy.Method, "PUT", "api.test", "/open"), false},
		"another host":             {live, routes.Route{Host: "new.test"}, connection("other.test"), false},
		"a name below":             {live, routes.Route{Host: "*.new.test"}, connection("a.new.test"), true},
		"the connection":           {live, routes.Route{Host: "new.test", Paths: []string{"/v1"}}, connection("new.test"), true},
		"plain HTTP":               {live, routes.Route{Host: "new.test", Ports: []uint16{80}}, plain, true},
		"plain HTTP, only TLS":     {live, routes.Route{Host: "new.test"}, plain, false},
		"its port":                 {live, routes.Route{Host: "new.test", Ports: []uint16{8443}}, otherPort, true},
		"another port":             {live, routes.Route{Host: "new.test"}, otherPort, false},
		"WebSocket":                {live, routes.Route{Host: "new.test", WebSocket: true}, socket, true},
		"no WebSocket":             {live, routes.Route{Host: "new.test"}, socket, false},
		"allowed meanwhile":        {allowed, routes.Route{Host: "new.test"}, connection("new.test"), false},
		"ended grant":              {live, routes.Route{Host: "new.test"}, request(policy.GrantExpired, "GET", "new.test", "/a"), true},
		"a grant that has ended":   {live, routes.Route{Host: "new.test", Grant: "0123456789abcdefgh", Expires: now}, connection("new.test"), false},
		"a secret stays one":       {live, routes.Route{Host: "new.test"}, request(policy.Secret, "GET", "new.test", "/a"), false},
		"so does an address":       {live, routes.Route{Host: "new.test"}, request(policy.Address, "GET", "new.test", "/a"), false},
		"and bad form":             {live, routes.Route{Host: "new.test"}, request(policy.Malformed, "GET", "new.test", "/a"), false},
		"a name that is none":      {live, routes.Route{Host: "new.test"}, request(policy.NoRoute, "GET", "[redacted]", "/a"), false},
		"a path that is none":      {live, routes.Route{Host: "new.test"}, request(policy.Path, "GET", "new.test", "/a;b"), false},
		"a path that was cut":      {live, routes.Route{Host: "new.test"}, request(policy.Path, "GET", "new.test", "/a… (cut, 3000 bytes)"), false},
		"encoded slash":            {live, routes.Route{Host: "new.test"}, request(policy.Path, "GET", "new.test", "/@a%2Fb"), false},
		"encoded slash by choice":  {live, routes.Route{Host: "new.test", EncodedSlash: true}, request(policy.Path, "GET", "new.test", "/@a%2Fb"), true},
		"push over HTTPS":          {live, routes.Route{Host: "new.test"}, request(policy.GitWrite, "POST", "new.test", "/a.git/git-receive-pack"), false},
		"push by choice":           {live, routes.Route{Host: "new.test", Git: routes.Git{APIWrite: true}}, request(policy.GitWrite, "POST", "new.test", "/a.git/git-receive-pack"), true},
		"advertisement for pushes": {live, routes.Route{Host: "new.test", Git: routes.Git{APIWrite: true}}, request(policy.GitWrite, "GET", "new.test", "/a.git/info/refs"), true},
		"advertisement, no git":    {live, routes.Route{Host: "new.test"}, request(policy.GitWrite, "GET", "new.test", "/a.git/info/refs"), false},
		"GraphQL that writes":      {live, routes.Route{Host: "new.test"}, request(policy.GitWrite, "POST", "new.test", "/graphql"), false},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := replay.JudgeRoute([]replay.Refusal{test.refused}, table(t, test.live), test.route, replay.Asked{}, now, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(result.Would) == 1; got != test.passes {
				t.Errorf("passes: %v, want %v", got, test.passes)
			}
		})
	}
}

func TestJudgeTellsWhatTheAgentDidNotName(t *testing.T) {
	refusals := []replay.Refusal{
		connection("new.corp.test"), connection("other.corp.test"),
		request(policy.NoRoute, "GET", "new.corp.test", "/repos/a/1"),
		request(policy.NoRoute, "GET", "new.corp.test", "/elsewhere"),
		request(policy.NoRoute, "DELETE", "new.corp.test", "/repos/a"),
		request(policy.Secret, "GET", "new.corp.test", "/s"),
		{Rule: policy.NoRoute, Host: "new.corp.test", Count: 7},
	}
	draft := func(d proposal.Draft, err error) replay.Asked {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		queue, err := proposal.Create(filepath.Join(t.TempDir(), "queue"), proposal.Options{Slug: "x"})
		if err != nil {
			t.Fatal(err)
		}
		defer queue.Close()
		p, _, err := queue.Add(d)
		if err != nil {
			t.Fatal(err)
		}
		return replay.AskedBy(p)
	}
	for name, test := range map[string]struct {
		asked   replay.Asked
		route   routes.Route
		unnamed string
	}{
		"the host alone": {draft(proposal.AskEgress("new.corp.test", nil, nil, "why")), routes.Route{Host: "new.corp.test"},
			"GET new.corp.test/repos/a/1, GET new.corp.test/elsewhere, DELETE new.corp.test/repos/a"},
		"host and path": {draft(proposal.AskEgress("new.corp.test", nil, []string{"/repos/a"}, "why")), routes.Route{Host: "new.corp.test"},
			"GET new.corp.test/elsewhere, DELETE new.corp.test/repos/a"},
		"host, path and method": {draft(proposal.AskEgress("new.corp.test", []string{"DELETE"}, []string{"/repos"}, "why")), routes.Route{Host: "new.corp.test"},
			"GET new.corp.test/repos/a/1, GET new.corp.test/elsewhere"},
		"a URL": {draft(proposal.AskPipelock("https://new.corp.test/elsewhere?q=1", "why")), routes.Route{Host: "new.corp.test"},
			"GET new.corp.test/repos/a/1, DELETE new.corp.test/repos/a"},
		"a rule made wider": {draft(proposal.AskEgress("new.corp.test", []string{"GET"}, []string{"/repos/a"}, "why")), routes.Route{Host: "*.corp.test"},
			"CONNECT other.corp.test, GET new.corp.test/elsewhere, DELETE new.corp.test/repos/a"},
		"a wish in words": {draft(proposal.AskCapability("new.corp.test please", "why")), routes.Route{Host: "other.corp.test"}, "CONNECT other.corp.test"},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := replay.JudgeRoute(refusals, table(t, "routes: []\n"), test.route, test.asked, now, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := said(result.Unnamed); got != test.unnamed {
				t.Errorf("unnamed: %s\nwant: %s", got, test.unnamed)
			}
			if test.asked.Host == "new.corp.test" && (result.Unknown != 7 || said(result.Still) != "GET new.corp.test/s") {
				t.Errorf("unknown %d, still %s", result.Unknown, said(result.Still))
			}
		})
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit", "bundle.jsonl")
	if refusals, err := replay.Load(path); err != nil || len(refusals) > 0 {
		t.Fatalf("no chain: %v %v", refusals, err)
	}
	clock := now
	log, err := audit.Open(path, audit.Options{Slug: "x", SegmentBytes: 20_000, Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	block := func(action string, detail map[string]any) {
		clock = clock.Add(time.Second)
		if err := log.Append(audit.Record{Actor: "egress", Action: action, Decision: "block", Detail: detail}); err != nil {
			t.Fatal(err)
		}
	}
	detail := func(path string, more ...any) map[string]any {
		d := map[string]any{"rule": "path", "host": "api.test", "port": 443, "method": "GET", "path": path}
		for i := 0; i < len(more); i += 2 {
			d[more[i].(string)] = more[i+1]
		}
		return d
	}
	for range 3 {
		block("request", detail("/same")) // one line and a count
	}
	for i := range 100 {
		block("request", detail(fmt.Sprintf("/n/%d", i)))
	}
	block("connect", map[string]any{"rule": "no-route", "host": "new.test", "port": 8443, "method": "CONNECT", "path": ""})
	block("request", detail("/plain", "plain", true, "port", 80))
	block("request", detail("/ws", "websocket", true))
	block("request", detail("/evil\x1b[2J\u202e/x"))
	block("request", map[string]any{"note": "no rule"})
	block("request", detail("/forged", "port", -1))
	for _, r := range []audit.Record{
		{Actor: "egress", Action: "request", Decision: "allow", Detail: detail("/allowed")},
		{Actor: "git-gate", Action: "push", Decision: "block", Detail: detail("/pushed")},
		{Actor: "egress", Action: "change", Decision: "block", Detail: detail("/changed")},
	} {
		if err := log.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	refusals, err := replay.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	find := func(path string) replay.Refusal {
		t.Helper()
		i := slices.IndexFunc(refusals, func(r replay.Refusal) bool { return r.Path == path })
		if i < 0 {
			t.Fatalf("%s is not there", path)
		}
		return refusals[i]
	}
	if len(refusals) != 105 || replay.Count(refusals) != 107 {
		t.Errorf("%d refusals, %d times", len(refusals), replay.Count(refusals))
	}
	if r := find("/same"); r.Count != 3 || r.Host != "api.test" || r.Port != 443 || r.Rule != policy.Path || !r.First.Equal(now.Add(time.Second)) || !r.Last.Equal(now.Add(3*time.Second)) {
		t.Errorf("counted: %+v", r)
	}
	if r := find("/plain"); !r.Plain || r.Port != 80 {
		t.Errorf("plain: %+v", r)
	}
	if r := find("/ws"); !r.WebSocket {
		t.Errorf("WebSocket: %+v", r)
	}
	if r := find(""); !r.Connection() || r.Host != "new.test" || r.Port != 8443 {
		t.Errorf("connection: %+v", r)
	}
	find("/evil/x")
}

func TestLoadKeepsTheNewest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	log, err := audit.Open(path, audit.Options{Window: -1})
	if err != nil {
		t.Fatal(err)
	}
	const many = 3*replay.MaxRefusals + 7
	for i := range many {
		err := log.Append(audit.Record{Actor: "egress", Action: "request", Decision: "block", Detail: map[string]any{
			"rule": "path", "host": "a.test", "method": "GET", "path": fmt.Sprintf("/%d", i),
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	refusals, err := replay.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if last := refusals[len(refusals)-1].Path; len(refusals) != replay.MaxRefusals || last != fmt.Sprintf("/%d", many-1) {
		t.Errorf("%d refusals, the last %s", len(refusals), last)
	}
}
