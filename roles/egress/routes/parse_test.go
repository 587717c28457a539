package routes_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

const full = `# everything
routes:
  - host: API.github.com.
    ports: [443, 8443]
    methods: [GET, POST]
    paths: [/repos//acme/]
    auth: {scheme: Bearer, token_env: EGRESS_TOKEN_1, header: x-api-key}
    websocket: true
    encoded_slash: true
    networks: [10.0.0.0/8, "fd00::/8"]
    git: {fetch: true, api_write: true}
    pipelock: passthrough
    findings: [{rule: generic-api-key, fingerprint: abc}]
  - host: "*.example.com"
    path_allowlist: [/a]
    agent_auth: true
    grant: p-1
    expires: 2026-01-01T02:00:00+02:00
    uses: 3
  - host: 192.0.2.1
    ports: [80]
`

func mustParse(t testing.TB, text string) *routes.Table {
	t.Helper()
	table, err := routes.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestParse(t *testing.T) {
	table := mustParse(t, full)
	all := table.Routes()
	first, grant := all[0], all[1]
	if first.Host != "api.github.com" || first.Paths[0] != "/repos/acme/" || first.Auth.Header != "X-Api-Key" ||
		!first.Git.Fetch || !first.EncodedSlash || !first.Git.APIWrite || len(first.Networks) != 2 || first.Pipelock != routes.Passthrough {
		t.Errorf("first route: %+v", first)
	}
	if grant.Uses != 3 || !grant.Expires.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) ||
		!reflect.DeepEqual(grant.Paths, []string{"/a"}) || grant.PathAllowlist != nil ||
		!reflect.DeepEqual(grant.Ports, []uint16{443}) || grant.Pipelock != routes.Inspect {
		t.Errorf("grant: %+v", grant)
	}
	if want := []string{"api.github.com", "*.example.com", "192.0.2.1"}; !reflect.DeepEqual(table.Hosts(), want) {
		t.Errorf("hosts: %v, want %v", table.Hosts(), want)
	}
	if len(table.SHA256()) != 64 || table.SHA256() == mustParse(t, full+"#").SHA256() {
		t.Errorf("digest %q is not that of the bytes", table.SHA256())
	}
	all[0].Ports[0], all[0].Auth.TokenEnv = 1, ""
	if again := table.Routes()[0]; again.Ports[0] != 443 || again.Auth.TokenEnv == "" {
		t.Error("a change to the copy reached the table")
	}
}

func TestRenderIsReadBack(t *testing.T) {
	for _, text := range []string{full, "", "routes: []"} {
		table := mustParse(t, text)
		rendered := table.Render()
		again := mustParse(t, string(rendered))
		if !reflect.DeepEqual(again.Routes(), table.Routes()) || string(again.Render()) != string(rendered) {
			t.Errorf("rendered as\n%s\nwhich reads as %+v", rendered, again.Routes())
		}
		built, err := routes.New(table.Routes())
		if err != nil || built.SHA256() != again.SHA256() {
			t.Errorf("New: %v, or a digest other than that of its rendering", err)
		}
	}
	if got := string(mustParse(t, "routes: [{host: a.test}]").Render()); got != "routes:\n- host: a.test\n" {
		t.Errorf("a default route is rendered as %q", got)
	}
}

func TestEmptyFiles(t *testing.T) {
	for _, text := range []string{"", "\n", "# only words\n", "routes:\n", "routes: []\n", "{}\n", "---\n", "null\n"} {
		if n := len(mustParse(t, text).Routes()); n != 0 {
			t.Errorf("%q: %d routes", text, n)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	route := func(lines ...string) string {
		return "routes:\n  - host: a.test\n    " + strings.Join(lines, "\n    ") + "\n"
	}
	for name, c := range map[string]struct{ text, want string }{
		"unknown key":           {route("hots: x"), `line 3: unknown key "hots": did you mean "host"?`},
		"unknown key far off":   {route("flavour_of_month: x"), `line 3: unknown key "flavour_of_month"`},
		"unknown nested key":    {route("auth: {token_env: EGRESS_TOKEN_1, shceme: Bearer}"), `did you mean "scheme"?`},
		"unknown top key":       {"# c\nroute: []\n", `line 2: unknown key "route": did you mean "routes"?`},
		"key in capitals":       {route("Ports: [443]"), `did you mean "ports"?`},
		"merge key":             {route("<<: {ports: [1]}"), `unknown key "<<"`},
		"repeated key":          {route("ports: [443]", "ports: [80]"), "line 4"},
		"repeated routes":       {"routes: []\nroutes: []\n", "line 2"},
		"anchor":                {"routes:\n- &a {host: a.test}\n", "line 2: anchors and aliases"},
		"alias":                 {"routes:\n- &a {host: a.test}\n- *a\n", "anchors and aliases"},
		"not YAML":              {"routes: [\n", "line 2"},
		"two documents":         {"routes: []\n---\nroutes: []\n", "document"},
		"a list":                {"- host: a.test\n", "line 1: the file must be a mapping"},
		"a word":                {"hello\n", "line 1: the file must be a mapping"},
		"route is a word":       {"routes:\n- a.test\n", "line 2: an entry of routes must be a mapping"},
		"route is null":         {"routes:\n-\n", "line 2: an entry of routes is empty"},
		"routes is a mapping":   {"routes: {host: a.test}\n", "line 1"},
		"auth is a word":        {route("auth: x"), "line 3: auth must be a mapping"},
		"control character":     {"routes: []\x00", "control"},
		"no host":               {"routes:\n- ports: [443]\n", "line 2: host"},
		"host malformed":        {"routes:\n\n- ports: [443]\n  host: a b.test\n", "line 4: host"},
		"IP in another form":    {"routes:\n- host: 127.1\n", "unusual form"},
		"mapped IP":             {"routes:\n- host: '::ffff:127.0.0.1'\n", "unusual form"},
		"own host":              {"routes:\n- host: _egress.local\n", "egress itself"},
		"star on own host":      {"routes:\n- host: '*.local'\n", "egress itself"},
		"star on suffix":        {"routes:\n- host: '*.com'\n", "anyone can have a name"},
		"star on long suffix":   {"routes:\n- host: '*.co.uk'\n", "anyone can have a name"},
		"star on hoster":        {"routes:\n- host: '*.github.io'\n", "anyone can have a name"},
		"star alone":            {"routes:\n- host: '*'\n", "pattern"},
		"two stars":             {"routes:\n- host: '*.*.a.test'\n", "pattern"},
		"star within":           {"routes:\n- host: 'a*.a.test'\n", "pattern"},
		"star on IP":            {"routes:\n- host: '*.192.0.2.1'\n", "no names below"},
		"port 0":                {route("ports: [0]"), "line 3: ports"},
		"port too large":        {route("ports: [65536]"), "line 3"},
		"port negative":         {route("ports: [-1]"), "line 3"},
		"port no number":        {route("ports: [https]"), "line 3"},
		"empty ports":           {route("ports: []"), "line 3: ports is empty"},
		"null methods":          {route("methods:"), "line 3: methods is empty"},
		"null auth":             {route("auth:"), "line 3: auth is empty"},
		"null path":             {route("paths: [null]"), "line 3: an entry of paths is empty"},
		"TRACE":                 {route("methods: [GET, TRACE]"), "line 3: methods: TRACE"},
		"CONNECT":               {route("methods: [CONNECT]"), "CONNECT cannot be allowed"},
		"small method":          {route("methods: [get]"), "capital letters"},
		"path without slash":    {route("paths: [repos]"), "line 3: paths"},
		"path above root":       {route("paths: [/a, /../b]"), "climbs above the root"},
		"path with %2f":         {route("paths: ['/a%2fb']"), "line 3: paths"},
		"both path keys":        {route("paths: [/a]", "path_allowlist: [/b]"), "line 4: path_allowlist"},
		"auth on port 80":       {route("ports: [443, 80]", "auth: {token_env: EGRESS_TOKEN_1}"), "line 3: ports: 80 is plain"},
		"auth without variable": {route("auth: {scheme: Bearer}"), "token_env"},
		"wrong variable":        {route("auth: {token_env: HOME}"), "line 3: token_env"},
		"bad scheme":            {route("auth: {token_env: EGRESS_TOKEN_1, scheme: 'a b'}"), "scheme"},
		"bad header":            {route("auth: {token_env: EGRESS_TOKEN_1, header: 'a: b'}"), "header"},
		"header Host":           {route("auth: {token_env: EGRESS_TOKEN_1, header: host}"), "cannot carry"},
		"header length":         {route("auth: {token_env: EGRESS_TOKEN_1, header: content-length}"), "cannot carry"},
		"header hop-by-hop":     {route("auth: {token_env: EGRESS_TOKEN_1, header: connection}"), "cannot carry"},
		"both credentials":      {route("agent_auth: true", "auth: {token_env: EGRESS_TOKEN_1}"), "line 3: agent_auth"},
		"network with bits":     {route("networks: [10.0.0.1/8]"), "write 10.0.0.0/8"},
		"network of all":        {route("networks: [0.0.0.0/0]"), "every address"},
		"network without /":     {route("networks: [10.0.0.1]"), "line 3"},
		"mapped network":        {route("networks: ['::ffff:10.0.0.0/104']"), "networks"},
		"pipelock":              {route("pipelock: off"), "line 3: pipelock"},
		"empty finding":         {route("findings: [{rule: x}]"), "line 3: findings"},
		"expires alone":         {route("expires: 2026-01-01T00:00:00Z"), "line 3: expires"},
		"expires in words":      {route("grant: p", "expires: soon"), "line 4"},
		"expires never":         {route("grant: p", "expires: 0001-01-01T00:00:00Z"), "line 4: expires is no limit"},
		"uses alone":            {route("uses: 1"), "line 3: uses"},
		"uses 0":                {route("grant: p", "uses: 0"), "line 4: uses is no limit"},
		"uses below 0":          {route("grant: p", "uses: -1"), "line 4: uses"},
		"grant in words":        {route("grant: 'a b'"), "line 3: grant"},
		"too long":              {"#" + strings.Repeat("x", 1<<20), "longer than"},
		"too many":              {"routes:\n" + strings.Repeat("- {host: a.test}\n", 4097), "too many"},
	} {
		t.Run(name, func(t *testing.T) {
			table, err := routes.Parse([]byte(c.text))
			if err == nil || table != nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error that says %q", err, c.want)
			}
		})
	}
}

func TestErrorsShowNoToken(t *testing.T) {
	const secret = "ghp_0123456789abcdefghijABCDEFGHIJ456789"
	for _, auth := range []string{
		"{token_env: " + secret + "}", "{token_env: EGRESS_TOKEN_1, scheme: 'Bearer " + secret + "'}",
		"{token_env: EGRESS_TOKEN_1, header: 'X: " + secret + "'}",
	} {
		_, err := routes.Parse([]byte("routes:\n- host: a.test\n  auth: " + auth + "\n"))
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", auth, err)
		}
	}
}

func TestNewNamesTheRoute(t *testing.T) {
	_, err := routes.New([]routes.Route{{Host: "a.test"}, {Host: "b.test", Methods: []string{"get"}}})
	if err == nil || !strings.Contains(err.Error(), `route 2 ("b.test"): methods`) {
		t.Errorf("got %v", err)
	}
}

func TestParseHostList(t *testing.T) {
	got, err := routes.ParseHostList([]byte("# head\r\n\nAPI.test # inline\r\n*.example.com\n api.test. \n2001:db8::1"))
	if want := []string{"api.test", "*.example.com", "2001:db8::1"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	_, err = routes.ParseHostList([]byte("a.test\nb c\n\n*.com\nhttps://a.test/\n"))
	for _, want := range []string{"line 2:", "line 4:", "line 5:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that names %q", err, want)
		}
	}
	if got, err := routes.ParseHostList(nil); err != nil || len(got) != 0 {
		t.Errorf("empty list: %v, %v", got, err)
	}
}
