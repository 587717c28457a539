// Package health keeps the readiness of the bundle's roles and serves it: as
// JSON at /healthz for people, container engines and the CLI, and as
// Prometheus metrics at /metrics. Probe is the client side.
package health

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// State of a role.
type State string

// The states a role reports. Only Ready counts as ready.
const (
	Starting State = "starting"
	Ready    State = "ready"
	Failed   State = "failed"
	Stopped  State = "stopped"
)

// Registry holds the state of every selected role. Safe for concurrent use.
type Registry struct {
	roles   map[string]*Role // fixed after New
	metrics *prometheus.Registry
}

// New returns a registry with the given roles, all Starting. No role at all is
// ready.
func New(roles ...string) *Registry {
	r := &Registry{roles: make(map[string]*Role), metrics: prometheus.NewRegistry()}
	now := time.Now()
	for _, name := range roles {
		r.roles[name] = &Role{report: RoleReport{State: Starting, Since: now}}
	}
	r.metrics.MustRegister(collector{r})
	return r
}

// Role returns the role's reporter; one that reports nowhere if the role was
// not named to New.
func (r *Registry) Role(name string) *Role {
	if role, ok := r.roles[name]; ok {
		return role
	}
	return &Role{}
}

// Report is the present state of every role.
func (r *Registry) Report() Report {
	report := Report{Ready: true, Roles: make(map[string]RoleReport, len(r.roles))}
	for name, role := range r.roles {
		state := role.Report()
		report.Roles[name] = state
		report.Ready = report.Ready && state.State == Ready
	}
	return report
}

// Prometheus is where roles register counters of their own. Labels and values
// are served as they are: they must not hold secrets.
func (r *Registry) Prometheus() prometheus.Registerer { return r.metrics }

// Report is what /healthz answers.
type Report struct {
	// Ready is true when every selected role is.
	Ready bool                  `json:"ready"`
	Roles map[string]RoleReport `json:"roles"`
}

// RoleReport is one role's part of a Report.
type RoleReport struct {
	State State `json:"state"`
	// Since is when the role entered State.
	Since time.Time `json:"since"`
	// Restarts counts crashes.
	Restarts int `json:"restarts"`
	// Generation counts the configurations put in force; 0 before the first.
	Generation int `json:"generation"`
	// ConfigSHA256 is the hex digest of the configuration file in force.
	ConfigSHA256 string `json:"config_sha256"`
	// LastError is why the role crashed last or why a configuration was refused.
	LastError string `json:"last_error"`
	// Refusals counts the configurations refused, so that two refusals in the
	// same words can be told apart.
	Refusals int `json:"refusals,omitempty"`
	// PID is the role's child process; 0 = none.
	PID int `json:"pid,omitempty"`
}

// Role is one role's reporter. A nil *Role reports nowhere.
type Role struct {
	mu     sync.Mutex
	report RoleReport
}

// Report is the role's present state.
func (r *Role) Report() RoleReport {
	if r == nil {
		return RoleReport{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.report
}

func (r *Role) change(f func(*RoleReport)) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.report)
}

// Set changes the state.
func (r *Role) Set(s State) {
	r.change(func(report *RoleReport) {
		if report.State != s {
			report.State, report.Since = s, time.Now()
		}
	})
}

// Crashed counts one restart and keeps its error (already redacted).
func (r *Role) Crashed(err error) {
	r.change(func(report *RoleReport) {
		report.Restarts++
		report.LastError = message(err)
	})
}

// InForce tells that a configuration with this SHA-256 (hex, of the file's
// bytes) took effect: the generation grows by one and last_error is cleared.
func (r *Role) InForce(sha256 string) {
	r.change(func(report *RoleReport) {
		report.Generation++
		report.ConfigSHA256, report.LastError = sha256, ""
	})
}

// Refused tells that a new configuration was refused and the old one stays.
func (r *Role) Refused(err error) {
	r.change(func(report *RoleReport) {
		report.Refusals++
		report.LastError = message(err)
	})
}

// SetPID tells the process id of the role's child; 0 = none.
func (r *Role) SetPID(pid int) {
	r.change(func(report *RoleReport) { report.PID = pid })
}

// Generation is the current configuration's number, 0 before the first.
func (r *Role) Generation() int { return r.Report().Generation }

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
