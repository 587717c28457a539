// Package config is pipelock.yaml, the configuration of the firewall child.
//
// Render writes it from the routes; Hosts and SetHosts read and change its
// allowlist and touch nothing else; ForChild makes the private copy that one
// child runs on. The YAML is that of pipelock 2.3.0, which refuses every key it
// does not know.
package config

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/claude-bottle/claude-bottle/internal/strictyaml"
)

// Config is the part of pipelock's configuration that Render writes.
type Config struct {
	Version      int      `yaml:"version"`
	Mode         string   `yaml:"mode"`
	Enforce      bool     `yaml:"enforce"`
	Explain      bool     `yaml:"explain_blocks"`
	APIAllowlist []string `yaml:"api_allowlist"`

	FetchProxy    FetchProxy    `yaml:"fetch_proxy"`
	ForwardProxy  ForwardProxy  `yaml:"forward_proxy"`
	TLS           TLS           `yaml:"tls_interception"`
	RequestBodies RequestBodies `yaml:"request_body_scanning"`
	DLP           DLP           `yaml:"dlp"`
	Responses     Responses     `yaml:"response_scanning"`
	SSRF          *SSRF         `yaml:"ssrf,omitempty"`
	SeedPhrases   Switch        `yaml:"seed_phrase_detection"`
	MediaPolicy   Switch        `yaml:"media_policy"`
	Taint         Switch        `yaml:"taint"`
	MetricsListen string        `yaml:"metrics_listen"`
	Logging       Logging       `yaml:"logging"`
	Sentry        Switch        `yaml:"sentry"`
	Rules         Rules         `yaml:"rules"`
}

// FetchProxy is the main listener and the limits of what is asked through it.
type FetchProxy struct {
	// Listen is overridden by --listen but must be valid.
	Listen     string     `yaml:"listen"`
	Timeout    int        `yaml:"timeout_seconds"`
	Monitoring Monitoring `yaml:"monitoring"`
}

// Monitoring judges URLs.
type Monitoring struct {
	MaxURLLength     int      `yaml:"max_url_length"`
	Entropy          float64  `yaml:"entropy_threshold"`
	SubdomainEntropy float64  `yaml:"subdomain_entropy_threshold"`
	MaxRequests      int      `yaml:"max_requests_per_minute"`
	Blocklist        []string `yaml:"blocklist"`
}

// ForwardProxy is CONNECT and absolute-form requests.
type ForwardProxy struct {
	Enabled         bool `yaml:"enabled"`
	MaxTunnel       int  `yaml:"max_tunnel_seconds"`
	IdleTimeout     int  `yaml:"idle_timeout_seconds"`
	SNIVerification bool `yaml:"sni_verification"`
}

// TLS says whose traffic is decrypted, and with which authority.
type TLS struct {
	Enabled          bool     `yaml:"enabled"`
	CACert           string   `yaml:"ca_cert"`
	CAKey            string   `yaml:"ca_key"`
	CertTTL          string   `yaml:"cert_ttl"`
	CertCacheSize    int      `yaml:"cert_cache_size"`
	MaxResponseBytes int64    `yaml:"max_response_bytes"`
	Passthrough      []string `yaml:"passthrough_domains"`
}

// RequestBodies scans what is sent.
type RequestBodies struct {
	Enabled       bool     `yaml:"enabled"`
	Action        string   `yaml:"action"`
	MaxBodyBytes  int64    `yaml:"max_body_bytes"`
	ScanHeaders   bool     `yaml:"scan_headers"`
	HeaderMode    string   `yaml:"header_mode"`
	IgnoreHeaders []string `yaml:"ignore_headers"`
}

// DLP knows secrets.
type DLP struct {
	ScanEnv         bool   `yaml:"scan_env"`
	SecretsFile     string `yaml:"secrets_file,omitempty"`
	IncludeDefaults bool   `yaml:"include_defaults"`
}

// Responses scans what comes back.
type Responses struct {
	Enabled         bool      `yaml:"enabled"`
	Action          string    `yaml:"action"`
	IncludeDefaults bool      `yaml:"include_defaults"`
	Patterns        []Pattern `yaml:"patterns"`
	SSE             Switch    `yaml:"sse_streaming"`
}

// Pattern is a named regular expression.
type Pattern struct {
	Name  string `yaml:"name"`
	Regex string `yaml:"regex"`
}

// SSRF lists the ranges beside the public internet that names may resolve to.
type SSRF struct {
	IPAllowlist []netip.Prefix `yaml:"ip_allowlist"`
}

// Logging is the child's standard output.
type Logging struct {
	Format         string `yaml:"format"`
	Output         string `yaml:"output"`
	IncludeAllowed bool   `yaml:"include_allowed"`
	IncludeBlocked bool   `yaml:"include_blocked"`
}

// Rules is where pipelock looks for rule bundles.
type Rules struct {
	Dir string `yaml:"rules_dir"`
}

// Switch is a feature that is on or off.
type Switch struct {
	Enabled bool `yaml:"enabled"`
}

// maxSize of a configuration file in bytes.
const maxSize = 4 << 20

// Parse reads a file in the form that Render writes. Unknown keys are errors,
// and so is what would make it less than an enforced allowlist.
func Parse(b []byte) (*Config, error) {
	if len(b) > maxSize {
		return nil, fmt.Errorf("pipelock.yaml is longer than %d bytes", maxSize)
	}
	c := new(Config)
	if err := strictyaml.Load(b, c); err != nil {
		return nil, fmt.Errorf("pipelock.yaml: %w", err)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// check refuses what would let a host through that is not in the allowlist.
func (c *Config) check() error {
	switch {
	case c.Mode != "strict":
		return fmt.Errorf("pipelock.yaml: mode is %q; only strict enforces the allowlist", c.Mode)
	case !c.Enforce:
		return fmt.Errorf("pipelock.yaml: enforce must be true")
	case !c.ForwardProxy.Enabled:
		return fmt.Errorf("pipelock.yaml: forward_proxy.enabled must be true")
	case len(c.APIAllowlist) == 0:
		return fmt.Errorf("pipelock.yaml: api_allowlist is empty; for no host at all write %s", noHost)
	}
	for _, host := range c.APIAllowlist {
		if _, err := pattern(host); err != nil {
			return fmt.Errorf("pipelock.yaml: api_allowlist: %w", err)
		}
	}
	return nil
}

// Allows reports whether the allowlist lets a canonical host through.
func (c *Config) Allows(host string) bool { return anyMatches(c.APIAllowlist, host) }

// Inspects reports whether the traffic of a canonical host is decrypted.
func (c *Config) Inspects(host string) bool {
	return c.TLS.Enabled && !anyMatches(c.TLS.Passthrough, host)
}

func anyMatches(patterns []string, host string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, host) })
}
