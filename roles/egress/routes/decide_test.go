package routes_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

const table = `routes:
  - host: api.test
    methods: [GET, POST]
    paths: [/org, /open/]
  - host: ws.test
    websocket: true
  - host: plain.test
    ports: [80, 443, 8443]
  - host: "*.wild.test"
  - host: git.test
    git: {fetch: true}
  - host: forge.test
    git: {api_write: true}
  - host: strict.test
  - host: 192.0.2.1
  - host: npm.test
    paths: [/@acme, /plain]
    methods: [GET]
    encoded_slash: true
  - host: lab.test
    encoded_slash: true
  - host: timed.test
    grant: p-timed
    expires: 2026-01-01T12:00:00Z
  - host: counted.test
    grant: p-counted
    uses: 2
  - host: both.test
    methods: [GET]
    paths: [/a]
  - host: both.test
    methods: [GET, PUT]
    paths: [/b]
    grant: p-both
    expires: 2027-01-01T00:00:00Z
  - host: "*.both.test"
    paths: [/a]
  - host: x.both.test
    paths: [/b]
`

// ask is a request in one line: METHOD host[:port]path[?query], "http" before
// the host for plain HTTP, "ws" for a WebSocket.
func ask(t testing.TB, line string) routes.Request {
	t.Helper()
	method, rest, _ := strings.Cut(line, " ")
	var r routes.Request
	r.Method = method
	port := uint16(443)
	if rest, r.Plain = strings.CutPrefix(rest, "http://"); r.Plain {
		port = 80
	} else {
		rest, r.WebSocket = strings.CutPrefix(rest, "ws://")
	}
	rest, r.RawQuery, _ = strings.Cut(rest, "?")
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		t.Fatalf("%q has no path", line)
	}
	var err error
	if r.Authority, err = canon.ParseAuthority(rest[:slash], port); err != nil {
		t.Fatal(err)
	}
	if r.Path, r.Sent, err = canon.ParseSlashedPath(rest[slash:]); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDecide(t *testing.T) {
	parsed := mustParse(t, table)
	spent := func(n int) routes.Spent { return func(string) int { return n } }
	for _, c := range []struct {
		ask   string
		want  policy.Rule // empty: allowed
		now   time.Time
		spent int
	}{
		{ask: "GET api.test/org"},
		{ask: "POST api.test/org/repo"},
		{ask: "GET api.test/open/x"},
		{ask: "GET api.test/org/../org/x"},
		{ask: "GET api.test/org-evil", want: policy.Path},
		{ask: "GET api.test/Org", want: policy.Path},
		{ask: "GET api.test/", want: policy.Path},
		{ask: "GET api.test/open", want: policy.Path},
		{ask: "GET api.test/org/../x", want: policy.Path},
		{ask: "PUT api.test/org", want: policy.Method},
		{ask: "get api.test/org", want: policy.Method},
		{ask: "HEAD api.test/org", want: policy.Method},
		{ask: "PUT api.test/x", want: policy.Method},
		{ask: "GET ws://api.test/org", want: policy.Upgrade},
		{ask: "GET ws://ws.test/"},
		{ask: "GET ws.test/"},
		{ask: "TRACE ws.test/", want: policy.Method},
		{ask: "trace ws.test/", want: policy.Method},
		{ask: "CONNECT ws.test/", want: policy.Method},
		{ask: " ws.test/", want: policy.Method},
		{ask: "PROPFIND ws.test/"},

		// An encoded slash is one only where the route says so; what is a write
		// in either reading is one.
		{ask: "GET npm.test/@acme%2fwidget"},
		{ask: "GET npm.test/@acme%2Fwidget/-/widget.tgz"},
		{ask: "GET npm.test/@acme/widget"},
		{ask: "GET npm.test/@acme-evil%2fwidget", want: policy.Path},
		{ask: "GET npm.test/@evil%2fwidget", want: policy.Path},
		{ask: "GET npm.test/x%2fplain", want: policy.Path},
		{ask: "PUT npm.test/@acme%2fwidget", want: policy.Method},
		{ask: "GET ws.test/a%2fb", want: policy.Path},
		{ask: "GET api.test/org%2frepo", want: policy.Path},
		{ask: "PUT api.test/org%2frepo", want: policy.Method},
		{ask: "GET nowhere.test/a%2fb", want: policy.NoRoute},
		{ask: "GET lab.test/api/v4/projects/acme%2fwidgets"},
		{ask: "PUT lab.test/api/v4/projects/acme%2fwidgets/repository/files/a%2fb", want: policy.GitWrite},
		{ask: "POST lab.test/acme%2fwidgets.git%2fgit-receive-pack", want: policy.GitWrite},
		{ask: "POST lab.test/repos%2facme%2fwidgets%2fmerges", want: policy.GitWrite},
		{ask: "GET lab.test/acme%2fw.git%2finfo/refs?service=git-upload-pack", want: policy.GitWrite},

		{ask: "GET nowhere.test/", want: policy.NoRoute},
		{ask: "GET evilapi.test/org", want: policy.NoRoute},
		{ask: "GET api.test.evil.test/org", want: policy.NoRoute},
		{ask: "GET x.api.test/org", want: policy.NoRoute},
		{ask: "GET 192.0.2.1/"},
		{ask: "GET 192.0.2.2/", want: policy.IPLiteral},
		{ask: "GET [2001:db8::1]/", want: policy.IPLiteral},

		{ask: "GET a.wild.test/"},
		{ask: "GET a.b.wild.test/"},
		{ask: "GET wild.test/", want: policy.NoRoute},
		{ask: "GET evilwild.test/", want: policy.NoRoute},
		{ask: "GET a.wild.test.evil.test/", want: policy.NoRoute},

		{ask: "GET http://plain.test/"},
		{ask: "GET plain.test/"},
		{ask: "GET plain.test:8443/"},
		{ask: "GET plain.test:80/", want: policy.Port},
		{ask: "GET http://plain.test:443/", want: policy.Port},
		{ask: "GET http://plain.test:8443/", want: policy.Port},
		{ask: "GET http://api.test/org", want: policy.Port},
		{ask: "GET api.test:8443/org", want: policy.Port},

		{ask: "GET timed.test/", now: noon.Add(-1)},
		{ask: "GET timed.test/", now: noon, want: policy.GrantExpired},
		{ask: "GET timed.test:1/", now: noon, want: policy.GrantExpired},
		{ask: "GET counted.test/", spent: 1},
		{ask: "GET counted.test/", spent: 2, want: policy.GrantExpired},
		{ask: "GET counted.test/", spent: 3, want: policy.GrantExpired},

		// Two routes on one host: what neither allows as a whole is refused.
		{ask: "GET both.test/a"},
		{ask: "PUT both.test/b"},
		{ask: "PUT both.test/a", want: policy.Path},
		{ask: "POST both.test/a", want: policy.Method},
		{ask: "PUT both.test/b", now: noon.AddDate(2, 0, 0), want: policy.Method},
		{ask: "GET both.test/a", now: noon.AddDate(2, 0, 0)},
		{ask: "GET x.both.test/a"},
		{ask: "GET x.both.test/b"},
		{ask: "GET y.both.test/b", want: policy.Path},
	} {
		t.Run(c.ask, func(t *testing.T) {
			now := c.now
			if now.IsZero() {
				now = noon.Add(-time.Hour)
			}
			r := ask(t, c.ask)
			route, d := parsed.Decide(r, now, spent(c.spent))
			if d.Rule != c.want || d.Allow != (c.want == "") || (route != nil) != d.Allow {
				t.Fatalf("got %+v, want rule %q", d, c.want)
			}
			if d.Role != "egress" || d.Host != r.Authority.Host.String() || d.Method != r.Method || d.Path != string(r.Path) {
				t.Errorf("decided on something else: %+v", d)
			}
			if !d.Allow && (d.Reason == "" || d.Remedy == "") {
				t.Errorf("no words for the agent: %+v", d)
			}
			switch c.want {
			case policy.IPLiteral, policy.NoRoute, policy.GrantExpired, policy.Port:
				if d := parsed.Authority(r.Authority, r.Plain, now, spent(c.spent)); d.Rule != c.want || d.Allow {
					t.Errorf("the authority alone: %+v", d)
				}
			default:
				if d := parsed.Authority(r.Authority, r.Plain, now, spent(c.spent)); !d.Allow || d.Rule != "" {
					t.Errorf("the authority alone: %+v", d)
				}
			}
		})
	}
}

func TestFirstFittingRouteDecides(t *testing.T) {
	parsed := mustParse(t, `routes:
  - {host: "*.a.test", paths: [/x], pipelock: passthrough}
  - {host: b.a.test, websocket: true}
  - {host: "*.b.a.test", paths: [/x]}
`)
	for line, want := range map[string]string{
		"GET b.a.test/x": "*.a.test", "GET b.a.test/y": "b.a.test", "GET c.b.a.test/x": "*.a.test",
	} {
		if route, d := parsed.Decide(ask(t, line), noon, nil); route == nil || route.Host != want {
			t.Errorf("%s: %+v by %+v, want the route of %s", line, d, route, want)
		}
	}
}

func TestZeroRequestIsRefused(t *testing.T) {
	if route, d := mustParse(t, table).Decide(routes.Request{}, noon, nil); route != nil || d.Allow || d.Rule == "" {
		t.Errorf("got %+v", d)
	}
	r := ask(t, "GET ws.test/")
	r.Path = ""
	if route, d := mustParse(t, table).Decide(r, noon, nil); route != nil || d.Rule != policy.Malformed {
		t.Errorf("without path: %+v", d)
	}
}

func TestJSON(t *testing.T) {
	parsed := mustParse(t, full)
	var got struct {
		Generation int    `json:"generation"`
		SHA256     string `json:"config_sha256"`
		Routes     []struct {
			Host string `json:"host"`
			Auth bool   `json:"auth"`
			Uses int    `json:"uses"`
		} `json:"routes"`
	}
	b := parsed.JSON(7)
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Generation != 7 || got.SHA256 != parsed.SHA256() || len(got.Routes) != 3 ||
		got.Routes[0].Host != "api.github.com" || !got.Routes[0].Auth || got.Routes[1].Uses != 3 {
		t.Errorf("got %s", b)
	}
	if strings.Contains(string(b), "EGRESS_TOKEN") {
		t.Errorf("names a token variable: %s", b)
	}
	if !strings.Contains(string(mustParse(t, "").JSON(1)), `"routes":[]`) {
		t.Error("an empty table has no list")
	}
}

func BenchmarkDecide(b *testing.B) {
	parsed := mustParse(b, table)
	for _, line := range []string{
		"GET api.test/org/repo", "GET a.b.wild.test/x/y/z", "POST strict.test/v1/messages/batches/abc/results",
	} {
		b.Run(line, func(b *testing.B) {
			r := ask(b, line)
			b.ReportAllocs()
			for b.Loop() {
				if _, d := parsed.Decide(r, noon, nil); !d.Allow {
					b.Fatal(d)
				}
			}
		})
	}
}

func TestAllowedRequestsAllocateNothing(t *testing.T) {
	parsed := mustParse(t, table)
	for _, line := range []string{"GET api.test/org/repo", "POST strict.test/v1/messages", "GET a.b.wild.test/"} {
		r := ask(t, line)
		if n := testing.AllocsPerRun(100, func() { parsed.Decide(r, noon, nil) }); n != 0 {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
}
