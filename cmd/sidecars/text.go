package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/claude-bottle/claude-bottle/health"
)

// All text for people is here. Requested text goes to stdout, complaints to
// stderr; a running bundle writes only JSON lines, to stderr.

const helpText = `sidecars runs a bottle's bundle: egress, pipelock, git-gate and supervise.

  sidecars                 run the bundle until SIGTERM or SIGINT
  sidecars health [--json] ask the running bundle; exit 0 when ready, else 1
  sidecars version         print the version and the pipelock it accepts

SIGHUP makes egress read its routes again; SIGUSR1 replaces the pipelock child.

Environment (but for the first, an empty value means the default):
  CLAUDE_BOTTLE_SIDECAR_DAEMONS  egress,pipelock,git-gate,supervise; default all,
                                 idle when none of them is named
  CLAUDE_BOTTLE_SLUG             the bottle's name; bottle
  CLAUDE_BOTTLE_MAX_CRASHES      deaths of one role in 30 s that end all; 3
  CLAUDE_BOTTLE_HEALTH_LISTEN    /healthz and /metrics; 127.0.0.1:9101
  CLAUDE_BOTTLE_AUDIT            the audit chain; /run/audit/bundle.jsonl
  CLAUDE_BOTTLE_OPERATOR_HEAD    SEQ:HASH of the operator's audit chain, to be named in this one
  CLAUDE_BOTTLE_SECRETS          file, mode 0600, of values that must not leave
  EGRESS_LISTEN                  the agent's proxy; 0.0.0.0:9099
  EGRESS_ROUTES                  /etc/egress/routes.yaml
  EGRESS_CA_CERT, EGRESS_CA_KEY  /etc/egress/ca.pem, /etc/egress/ca-key.pem
  EGRESS_UPSTREAM_PROXY          next hop, http://host:port; the pipelock role
  EGRESS_UPSTREAM_CA             PEM file of extra roots for origins
  EGRESS_RESOLVER                DNS server, address:port; the system's resolver
  EGRESS_HEALTH                  where egress in another bundle tells its health,
                                 for supervise's list of routes
  EGRESS_TOKEN_1...              credentials that routes name in token_env
  PIPELOCK_LISTEN                0.0.0.0:8888; beside egress a second door to it
  PIPELOCK_CONFIG                /etc/pipelock.yaml
  PIPELOCK_CA_CERT, PIPELOCK_CA_KEY
                                 /etc/pipelock-ca.pem, /etc/pipelock-ca-key.pem
  PIPELOCK_BIN, PIPELOCK_SHA256  /usr/local/bin/pipelock, the pin of this build
  PIPELOCK_TOKEN                 bearer token that PIPELOCK_LISTEN asks for when
                                 egress is not in this bundle
  GIT_GATE_LISTEN                0.0.0.0:9420
  GIT_GATE_CONFIG                /etc/git-gate/config.yaml
  SUPERVISE_LISTEN               0.0.0.0:9100
  SUPERVISE_QUEUE                /run/supervise/queue
  SUPERVISE_WAIT                 how long an ask waits for its answer; 30s

A listen address is host:port or unix:/path. LISTEN_FDS and LISTEN_FDNAMES hand
over open listeners, named after the roles, or health.
`

const versionText = "sidecars %s\npipelock sha256 %s\n"

const unknownCommandText = "sidecars: no command %q; see sidecars -h\n"

func pinText(pin string) string {
	if pin == "" {
		return "none: the pipelock role needs PIPELOCK_SHA256"
	}
	return pin
}

func printHealth(w io.Writer, report health.Report) {
	if report.Ready {
		fmt.Fprintln(w, "ready")
	} else {
		fmt.Fprintln(w, "not ready")
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer table.Flush()
	for _, name := range slices.Sorted(maps.Keys(report.Roles)) {
		role := report.Roles[name]
		fmt.Fprintf(table, "%s\t%s\trestarts %d\tgeneration %d\t%s\n",
			name, role.State, role.Restarts, role.Generation, role.LastError)
	}
}
