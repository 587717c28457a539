//go:build linux

package namespace

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/claude-bottle/claude-bottle/plan"
)

// roles are the bundle's, in the order in which their listeners are named.
var roles = []string{"egress", "pipelock", "git-gate", "supervise"}

// ports are where the agent finds the roles on its loopback.
var ports = map[string]int{"egress": 9099, "pipelock": 8888, "git-gate": 9420, "supervise": 9100}

// portsOf are the ports of the selected roles.
func portsOf(p *plan.Plan) map[string]int {
	selected := make(map[string]int)
	for _, role := range roles {
		if slices.Contains(p.Daemons, role) {
			selected[role] = ports[role]
		}
	}
	return selected
}

// firstFD is the first descriptor after the standard streams, where socket
// activation begins.
const firstFD = 3

// fromOperator are variables of the operator's environment that the bundle
// needs where they are set: where to put spool files, whom to trust upstream.
var fromOperator = []string{"TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"}

// bundleEnv is the bundle's whole environment; names are the listeners that
// come first among its files, and the secrets follow.
func bundleEnv(p *plan.Plan, names, extra []string) []string {
	dir := p.State
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"CLAUDE_BOTTLE_SIDECAR_DAEMONS=" + strings.Join(p.Daemons, ","),
		"CLAUDE_BOTTLE_SLUG=" + p.Slug,
		"CLAUDE_BOTTLE_AUDIT=" + dir.Audit(),
		"CLAUDE_BOTTLE_SECRETS=" + fdPath(firstFD+len(names)),
		"EGRESS_ROUTES=" + dir.Routes(),
		"EGRESS_CA_CERT=" + dir.CACert(),
		"EGRESS_CA_KEY=" + dir.CAKey(),
		"GIT_GATE_CONFIG=" + dir.GitGate(),
		"SUPERVISE_QUEUE=" + dir.Queue(),
		"LISTEN_FDS=" + strconv.Itoa(len(names)),
		"LISTEN_FDNAMES=" + strings.Join(names, ":"),
	}
	for _, name := range fromOperator {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	if slices.Contains(p.Daemons, "pipelock") {
		env = append(env,
			"PIPELOCK_CONFIG="+dir.Pipelock(),
			"PIPELOCK_CA_CERT="+dir.PipelockCACert(),
			"PIPELOCK_CA_KEY="+dir.PipelockCAKey())
	}
	if p.PipelockBin != "" {
		env = append(env, "PIPELOCK_BIN="+p.PipelockBin, "PIPELOCK_SHA256="+p.PipelockSHA256)
	}
	if p.OperatorHead != "" {
		env = append(env, "CLAUDE_BOTTLE_OPERATOR_HEAD="+p.OperatorHead)
	}
	for name, value := range p.Tokens {
		env = append(env, name+"="+value)
	}
	return append(env, extra...) // exec.Cmd takes the last of a name
}
