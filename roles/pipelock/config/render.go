package config

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// Options of Render. The role puts its own paths and addresses into the copy
// that a child gets, so the zero value is enough for it.
type Options struct {
	// CACert and CAKey are the authority's files; empty = /etc/pipelock-ca.pem
	// and /etc/pipelock-ca-key.pem.
	CACert, CAKey string
	// SecretsFile holds one known secret a line; empty = none.
	SecretsFile string
}

// noHost stands for an empty allowlist, which strict mode refuses. No name
// under .invalid exists (RFC 2606).
const noHost = "nothing.invalid"

const (
	// passthrough is the one value of a route's pipelock key that is not
	// "inspect".
	passthrough = "passthrough"
	// loopbackAny lets the kernel choose a port that nobody else has.
	loopbackAny = "127.0.0.1:0"
)

// Render writes the configuration that allows exactly the hosts of the routes
// and inspects those whose first route does not say passthrough.
//
// A wildcard route is rendered as it is. Pipelock takes *.example.com for the
// apex too, which egress, deciding first, never asks for. Because pipelock
// cannot make an exception under a wildcard, a passthrough wildcard over an
// inspected host is an error.
func Render(table *routes.Table, o Options) ([]byte, error) {
	hosts, through, err := columns(table)
	if err != nil {
		return nil, err
	}
	c := Config{
		Version:      1,
		Mode:         "strict",
		Enforce:      true,
		APIAllowlist: hosts,
		FetchProxy: FetchProxy{
			Listen:  "127.0.0.1:8888",
			Timeout: 600,
			Monitoring: Monitoring{
				MaxURLLength:     8192,
				Entropy:          5.0,
				SubdomainEntropy: 4.0,
				MaxRequests:      1_000_000, // 0 would mean 60
				Blocklist:        []string{},
			},
		},
		ForwardProxy: ForwardProxy{
			Enabled:     true,
			MaxTunnel:   86400,
			IdleTimeout: 3600,
			// It breaks keep-alive in inspected tunnels; egress verifies.
			SNIVerification: false,
		},
		TLS: TLS{
			Enabled:          true,
			CACert:           cmp.Or(o.CACert, "/etc/pipelock-ca.pem"),
			CAKey:            cmp.Or(o.CAKey, "/etc/pipelock-ca-key.pem"),
			CertTTL:          "24h",
			CertCacheSize:    1000,
			MaxResponseBytes: 32 << 20,
			Passthrough:      through,
		},
		RequestBodies: RequestBodies{
			Enabled:       true,
			Action:        "block",
			MaxBodyBytes:  16 << 20,
			ScanHeaders:   true,
			HeaderMode:    "all",
			IgnoreHeaders: ignored(table),
		},
		DLP: DLP{SecretsFile: o.SecretsFile, IncludeDefaults: true},
		// Switched off, it would buffer event streams and still block.
		Responses: Responses{
			Enabled:  true,
			Action:   "warn",
			Patterns: []Pattern{{Name: "nothing", Regex: `\bclaude-bottle-matches-nothing-\d{40}\b`}},
		},
		SSRF:          networks(table),
		MetricsListen: loopbackAny,
		Logging:       Logging{Format: "json", Output: "stdout", IncludeAllowed: true, IncludeBlocked: true},
		Rules:         Rules{Dir: "/nonexistent"},
	}
	return yaml.Dump(&c)
}

// columns returns the allowlist and the hosts that are only checked by name.
func columns(table *routes.Table) (hosts, through []string, err error) {
	hosts, through = []string{}, []string{}
	var inspected []string
	seen := make(map[string]bool)
	for _, route := range table.Routes() {
		host, err := pattern(route.Host)
		if err != nil {
			return nil, nil, err
		}
		if seen[host] {
			continue
		}
		seen[host] = true
		hosts = append(hosts, host)
		if route.Pipelock == passthrough {
			through = append(through, host)
		} else {
			inspected = append(inspected, host)
		}
	}
	for _, wide := range through {
		for _, host := range inspected {
			if matches(wide, host) {
				return nil, nil, fmt.Errorf("route %s says passthrough and %s does not: pipelock cannot inspect one host under a passthrough wildcard; give both the same value", wide, host)
			}
		}
	}
	if len(hosts) == 0 {
		hosts = append(hosts, noHost)
	}
	return hosts, through, nil
}

// ignored are the headers that are not scanned: egress has scanned and stripped
// the agent's credentials and put in those of the routes.
func ignored(table *routes.Table) []string {
	names := []string{"Authorization", "Accept", "Accept-Language", "Connection",
		"Content-Length", "Content-Type", "Host", "User-Agent"}
	for _, route := range table.Routes() {
		if route.Auth == nil || route.Auth.Header == "" {
			continue
		}
		if name := http.CanonicalHeaderKey(route.Auth.Header); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// networks is the union of all routes' ranges; nil = none.
func networks(table *routes.Table) *SSRF {
	var all []netip.Prefix
	for _, route := range table.Routes() {
		for _, network := range route.Networks {
			all = append(all, network.Masked())
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, netip.Prefix.Compare)
	return &SSRF{IPAllowlist: slices.Compact(all)}
}

// pattern returns the canonical form of an exact host or *.domain.
func pattern(s string) (string, error) {
	name, wild := strings.CutPrefix(s, "*.")
	host, err := canon.ParseHost(name)
	if err != nil {
		return "", err
	}
	if !wild {
		return host.String(), nil
	}
	if _, literal := host.IP(); literal {
		return "", fmt.Errorf("host %q: an address has no names below it", s)
	}
	return "*." + host.String(), nil
}

// matches reports whether pipelock takes host for one that the pattern names: a
// wildcard stands for the names below its domain and the domain itself.
func matches(pattern, host string) bool {
	domain, wild := strings.CutPrefix(pattern, "*.")
	host = strings.TrimPrefix(host, "*.")
	return pattern == host || wild && (host == domain || strings.HasSuffix(host, "."+domain))
}
