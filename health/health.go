// Package health keeps the readiness of roles and serves /healthz and /metrics.
package health

import "net/http"

// State of a role.
type State string

// The states a role reports.
const (
	Starting State = "starting"
	Ready    State = "ready"
	Failed   State = "failed"
	Stopped  State = "stopped"
)

// Registry holds the state of every selected role. Safe for concurrent use.
type Registry struct{}

// New returns a registry with the given roles, all Starting. No role at all is
// ready.
func New(roles ...string) *Registry { return &Registry{} }

// Role returns the role's reporter; one that reports nowhere if the role was
// not named to New.
func (r *Registry) Role(name string) *Role { return &Role{} }

// Handler serves GET /healthz and GET /metrics.
func (r *Registry) Handler() http.Handler { return http.NotFoundHandler() }

// Role is one role's reporter. A nil *Role reports nowhere.
type Role struct{}

// Set changes the state.
func (r *Role) Set(s State) {}

// Crashed counts one restart and keeps its error (already redacted).
func (r *Role) Crashed(err error) {}

// InForce tells that a configuration with this SHA-256 (hex, of the file's
// bytes) took effect: the generation grows by one and last_error is cleared.
func (r *Role) InForce(sha256 string) {}

// Refused tells that a new configuration was refused and the old one stays.
func (r *Role) Refused(err error) {}

// SetPID tells the process id of the role's child; 0 = none.
func (r *Role) SetPID(pid int) {}

// Generation is the current configuration's number, 0 before the first.
func (r *Role) Generation() int { return 0 }
