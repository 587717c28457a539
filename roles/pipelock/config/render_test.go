package config_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/roles/pipelock/config"
)

// render is Render of routes.yaml.
func render(t *testing.T, src string, o config.Options) *config.Config {
	t.Helper()
	table, err := routes.Parse([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	yaml, err := config.Render(table, o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse(yaml)
	if err != nil {
		t.Fatalf("%v\n%s", err, yaml)
	}
	return c
}

func TestRender(t *testing.T) {
	c := render(t, `
routes:
  - {host: api.example.com, auth: {token_env: EGRESS_TOKEN_1, header: x-api-key}}
  - {host: models.example.net, pipelock: passthrough, networks: [10.1.0.0/16]}
  - {host: "*.wild.example", networks: ["fd00::/8", 10.0.0.0/8, 10.1.0.0/16]}
  - {host: api.example.com, methods: [GET], pipelock: passthrough}
  - {host: 192.0.2.7, networks: [192.0.2.0/24]}
`, config.Options{SecretsFile: "/run/secrets"})
	if want := []string{"api.example.com", "models.example.net", "*.wild.example", "192.0.2.7"}; !slices.Equal(c.APIAllowlist, want) {
		t.Errorf("allowlist %q, want %q", c.APIAllowlist, want)
	}
	if want := []string{"models.example.net"}; !slices.Equal(c.TLS.Passthrough, want) {
		t.Errorf("passthrough %q, want %q", c.TLS.Passthrough, want)
	}
	var networks []string
	for _, n := range c.SSRF.IPAllowlist {
		networks = append(networks, n.String())
	}
	if want := []string{"10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24", "fd00::/8"}; !slices.Equal(networks, want) {
		t.Errorf("networks %q, want %q", networks, want)
	}
	if h := c.RequestBodies.IgnoreHeaders; !slices.Contains(h, "X-Api-Key") || !slices.Contains(h, "Authorization") || slices.Contains(h, "Cookie") {
		t.Errorf("headers that are not scanned: %q", h)
	}
	if c.DLP.SecretsFile != "/run/secrets" || c.TLS.CACert != "/etc/pipelock-ca.pem" || c.TLS.CAKey != "/etc/pipelock-ca-key.pem" {
		t.Errorf("paths: %+v %+v", c.DLP, c.TLS)
	}
	for host, allows := range map[string]bool{
		"api.example.com": true, "x.wild.example": true, "a.b.wild.example": true,
		"evil-api.example.com": false, "api.example.com.evil.test": false, "wild.example.evil.test": false, "evilwild.example": false,
	} {
		if c.Allows(host) != allows {
			t.Errorf("Allows(%s) = %v", host, !allows)
		}
	}
	if c.Inspects("models.example.net") || !c.Inspects("api.example.com") {
		t.Error("the wrong hosts are inspected")
	}
}

func TestRenderOfNoRouteAllowsNothing(t *testing.T) {
	c := render(t, "routes: []", config.Options{})
	if len(c.APIAllowlist) != 1 || c.Allows("example.com") || c.SSRF != nil {
		t.Errorf("allowlist %q, networks %v", c.APIAllowlist, c.SSRF)
	}
}

func TestRenderRefusesAnExceptionUnderAWildcard(t *testing.T) {
	for _, inspected := range []string{"api.wild.example", "wild.example", `"*.sub.wild.example"`} {
		table, err := routes.Parse([]byte("routes:\n- {host: " + inspected + "}\n- {host: '*.wild.example', pipelock: passthrough}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := config.Render(table, config.Options{}); err == nil || !strings.Contains(err.Error(), "wildcard") {
			t.Errorf("%s: %v", inspected, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	table, err := routes.New([]routes.Route{{Host: "a.example"}})
	if err != nil {
		t.Fatal(err)
	}
	good, err := config.Render(table, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ old, fresh, want string }{
		{"mode: strict", "mode: audit", "only strict"},
		{"mode: strict", "mod: strict", `did you mean "mode"`},
		{"enforce: true", "enforce: false", "enforce"},
		{"- a.example", "- a.example/path", "a.example/path"},
		{"- a.example", "[]", "empty"},
		{"version: 1", "version: 1\nversion: 1", "already defined"},
	} {
		broken := strings.Replace(string(good), test.old, test.fresh, 1)
		if test.fresh == "[]" {
			broken = strings.Replace(string(good), "api_allowlist:\n  - a.example", "api_allowlist: []", 1)
			broken = strings.Replace(broken, "api_allowlist:\n- a.example", "api_allowlist: []", 1)
		}
		if _, err := config.Parse([]byte(broken)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.fresh, err, test.want)
		}
	}
}

func TestForChild(t *testing.T) {
	table, err := routes.New([]routes.Route{{Host: "a.example", Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}})
	if err != nil {
		t.Fatal(err)
	}
	src, err := config.Render(table, config.Options{SecretsFile: "/old"})
	if err != nil {
		t.Fatal(err)
	}
	own := config.Child{Listen: "127.0.0.1:4000", CACert: "/c", CAKey: "/k", SecretsFile: "/s"}
	out, err := config.ForChild(src, own)
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse(out)
	if err != nil {
		t.Fatal(err)
	}
	if c.FetchProxy.Listen != own.Listen || c.TLS.CACert != "/c" || c.TLS.CAKey != "/k" || c.DLP.SecretsFile != "/s" || c.MetricsListen != "127.0.0.1:0" || !c.Allows("a.example") {
		t.Errorf("%+v", c)
	}
	own.SecretsFile = ""
	if out, err = config.ForChild(append(src, "operators_own: {depth: [1, two]}\n"...), own); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "secrets_file") || !strings.Contains(string(out), "operators_own") {
		t.Errorf("secrets_file stays or an unknown block goes:\n%s", out)
	}
	for name, more := range map[string]string{
		"anchors":     "x: &a 1\n",
		"aliases":     "x: &a 1\ny: *a\n",
		"merge keys":  "x: {<<: {a: 1}}\n",
		"a listener":  "reverse_proxy: {enabled: true, listen: 0.0.0.0:1}\n",
		"listeners":   "agents: {me: {listeners: [0.0.0.0:1]}}\n",
		"API":         "kill_switch: {api_listen: 0.0.0.0:1}\n",
		"two files":   "---\nmode: audit\n",
		"a NUL":       "x: \"\x00\"\n",
		"odd breaks":  "x: a\u2028mode: audit\n",
		"second mode": "mode: audit\n",
	} {
		if _, err := config.ForChild(append(slices.Clone(src), more...), own); err == nil {
			t.Errorf("%s are taken", name)
		}
	}
}
