package main

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
)

// The roles, by the names that the environment, health and logs use.
const (
	egressRole    = "egress"
	pipelockRole  = "pipelock"
	gitGateRole   = "git-gate"
	superviseRole = "supervise"
)

var allRoles = []string{egressRole, pipelockRole, gitGateRole, superviseRole}

const defaultHealthListen = "127.0.0.1:9101"

// config is the environment, parsed.
type config struct {
	roles   []string // selected, in the order of allRoles
	unknown []string // names in the selection that no role has

	slug         string
	maxCrashes   int
	healthListen string
	audit        string
	secrets      string // path, "" = none
	operatorHead audit.Head

	egress struct {
		listen, routes, caCert, caKey string
		upstreamProxy, upstreamCA     string
		resolver                      string // host:port, "" = the system's
		health                        string // of egress in another bundle, "" = unknown
		tokens                        map[string]string
	}
	pipelock struct {
		listen, config, caCert, caKey string
		listenSet, caCertSet          bool // said, not defaulted
		bin, sha256, token            string
	}
	gitGate   struct{ listen, config string }
	supervise struct {
		listen, queue string
		queueSet      bool // said, not defaulted
		wait          time.Duration
	}
}

func (c *config) selected(role string) bool { return slices.Contains(c.roles, role) }

// variables is an environment by name.
type variables map[string]string

func environment(environ []string) variables {
	v := make(variables, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		v[name] = value
	}
	return v
}

// or is a variable's value, or the default when it is unset or empty.
func (v variables) or(name, otherwise string) string {
	if value := v[name]; value != "" {
		return value
	}
	return otherwise
}

// tokenName is the form of the variables that hold credentials.
var tokenName = regexp.MustCompile(`^EGRESS_TOKEN_[0-9]+$`)

// tokens are the credentials that have a value.
func (v variables) tokens() map[string]string {
	tokens := maps.Clone(v)
	maps.DeleteFunc(tokens, func(name, value string) bool { return value == "" || !tokenName.MatchString(name) })
	return tokens
}

// parse reads the whole contract. Errors name the variable, never a secret's
// value.
func (v variables) parse() (config, error) {
	var c config
	c.roles, c.unknown = v.selection()
	c.slug = v.or("CLAUDE_BOTTLE_SLUG", "bottle")
	c.healthListen = v.or("CLAUDE_BOTTLE_HEALTH_LISTEN", defaultHealthListen)
	c.audit = v.or("CLAUDE_BOTTLE_AUDIT", "/run/audit/bundle.jsonl")
	c.secrets = v["CLAUDE_BOTTLE_SECRETS"]

	c.egress.listen = v.or("EGRESS_LISTEN", "0.0.0.0:9099")
	c.egress.routes = v.or("EGRESS_ROUTES", "/etc/egress/routes.yaml")
	c.egress.caCert = v.or("EGRESS_CA_CERT", "/etc/egress/ca.pem")
	c.egress.caKey = v.or("EGRESS_CA_KEY", "/etc/egress/ca-key.pem")
	c.egress.upstreamProxy = v["EGRESS_UPSTREAM_PROXY"]
	c.egress.upstreamCA = v["EGRESS_UPSTREAM_CA"]
	c.egress.resolver = v["EGRESS_RESOLVER"]
	c.egress.health = v["EGRESS_HEALTH"]
	c.egress.tokens = v.tokens()

	c.pipelock.listen = v.or("PIPELOCK_LISTEN", "0.0.0.0:8888")
	c.pipelock.listenSet = v["PIPELOCK_LISTEN"] != ""
	c.pipelock.config = v.or("PIPELOCK_CONFIG", "/etc/pipelock.yaml")
	c.pipelock.caCert = v.or("PIPELOCK_CA_CERT", "/etc/pipelock-ca.pem")
	c.pipelock.caCertSet = v["PIPELOCK_CA_CERT"] != ""
	c.pipelock.caKey = v.or("PIPELOCK_CA_KEY", "/etc/pipelock-ca-key.pem")
	c.pipelock.bin = v.or("PIPELOCK_BIN", "/usr/local/bin/pipelock")
	c.pipelock.sha256 = v.or("PIPELOCK_SHA256", pipelockSHA256)
	c.pipelock.token = v["PIPELOCK_TOKEN"]

	c.gitGate.listen = v.or("GIT_GATE_LISTEN", "0.0.0.0:9420")
	c.gitGate.config = v.or("GIT_GATE_CONFIG", "/etc/git-gate/config.yaml")

	c.supervise.listen = v.or("SUPERVISE_LISTEN", "0.0.0.0:9100")
	c.supervise.queueSet = v["SUPERVISE_QUEUE"] != ""
	c.supervise.queue = v.or("SUPERVISE_QUEUE", "/run/supervise/queue")

	var err error
	crashes := v.or("CLAUDE_BOTTLE_MAX_CRASHES", "3")
	if c.maxCrashes, err = strconv.Atoi(crashes); err != nil || c.maxCrashes < 0 {
		return config{}, fmt.Errorf("CLAUDE_BOTTLE_MAX_CRASHES is %q; it must be a number, 0 or more", crashes)
	}
	wait := v.or("SUPERVISE_WAIT", "30s")
	if c.supervise.wait, err = time.ParseDuration(wait); err != nil || c.supervise.wait < 0 {
		return config{}, fmt.Errorf("SUPERVISE_WAIT is %q; it must be a duration such as 30s", wait)
	}
	if head := v["CLAUDE_BOTTLE_OPERATOR_HEAD"]; head != "" {
		if c.operatorHead, err = audit.ParseHead(head); err != nil {
			return config{}, fmt.Errorf("CLAUDE_BOTTLE_OPERATOR_HEAD: %w", err)
		}
	}
	if r := c.egress.resolver; r != "" {
		if _, err := netip.ParseAddrPort(r); err != nil {
			return config{}, fmt.Errorf("EGRESS_RESOLVER is %q; it must be address:port", r)
		}
	}
	return c, nil
}

// selection splits the wanted roles into known, each once, and unknown names.
// Unset selects all; set to nothing known selects none.
func (v variables) selection() (known, unknown []string) {
	list, set := v["CLAUDE_BOTTLE_SIDECAR_DAEMONS"]
	if !set {
		return allRoles, nil
	}
	known = []string{}
	wanted := make(map[string]bool)
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		switch {
		case name == "":
		case slices.Contains(allRoles, name):
			wanted[name] = true
		default:
			unknown = append(unknown, name)
		}
	}
	for _, name := range allRoles {
		if wanted[name] {
			known = append(known, name)
		}
	}
	return known, unknown
}

// forget removes from this process's environment what no library or child may
// find there: secrets, and proxies that Go's HTTP clients would obey.
func (v variables) forget() {
	for name := range v {
		switch strings.ToUpper(name) {
		case "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY",
			"CLAUDE_BOTTLE_SECRETS", "PIPELOCK_TOKEN", "EGRESS_UPSTREAM_PROXY",
			"LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID":
			os.Unsetenv(name)
		}
		if tokenName.MatchString(name) {
			os.Unsetenv(name)
		}
	}
}
