package control

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"syscall"

	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/roles/pipelock/config"
)

// step puts one file in force.
type step struct {
	role, file string
	content    []byte
	signal     os.Signal
}

func (o *Operator) routesStep(content []byte) step {
	return step{egress, o.routesName(), content, syscall.SIGHUP}
}

func (o *Operator) pipelockStep(content []byte) step {
	return step{pipelock, o.pipelockName(), content, syscall.SIGUSR1}
}

// steps are the way from Before to After. A host is open when egress and the
// firewall both let it through, so no order opens more than what was approved
// before or is now. This order also refuses nothing that is allowed on both
// sides of the change: the firewall first learns to allow both, then egress
// changes, then the firewall forgets what is gone.
func (o *Operator) steps(j *journal) []step {
	var all []step
	current := j.Before.Pipelock
	if j.Wide != nil && string(j.Wide) != string(current) {
		all = append(all, o.pipelockStep(j.Wide))
		current = j.Wide
	}
	if j.After.Routes != nil && string(j.After.Routes) != string(j.Before.Routes) {
		all = append(all, o.routesStep(j.After.Routes))
	}
	if j.After.Pipelock != nil && string(j.After.Pipelock) != string(current) {
		all = append(all, o.pipelockStep(j.After.Pipelock))
	}
	return all
}

// plan fills in what follows from a new routes file: the firewall's files.
func (l live) plan(j *journal, edited []byte) error {
	table, err := routes.Parse(edited)
	if err != nil {
		return err
	}
	j.Before, j.After = l.files, files{Routes: edited}
	if l.Pipelock == nil {
		return nil
	}
	j.Wide, j.After.Pipelock, err = firewall(l.Pipelock, l.table, table)
	return err
}

// firewall returns pipelock.yaml for the new table, and one that lets through
// what either table does. While only hosts change, only the list of hosts does.
func firewall(src []byte, before, after *routes.Table) (wide, narrow []byte, err error) {
	hostsOnly, err := onlyHostsDiffer(before, after)
	if err != nil {
		return nil, nil, err
	}
	if !hostsOnly {
		if narrow, err = config.Render(after, config.Options{}); err != nil {
			return nil, nil, err
		}
		return widest(before, after), narrow, nil
	}
	if narrow, err = config.SetHosts(src, after.Hosts()); err != nil {
		return nil, nil, err
	}
	union := before.Hosts()
	for _, host := range after.Hosts() {
		if !slices.Contains(union, host) {
			union = append(union, host)
		}
	}
	switch len(union) {
	case len(after.Hosts()):
		return narrow, narrow, nil
	case len(before.Hosts()):
		return nil, narrow, nil
	}
	wide, err = config.SetHosts(src, union)
	return wide, narrow, err
}

// onlyHostsDiffer reports whether the firewall's configurations of two tables
// agree in all but the allowlist.
func onlyHostsDiffer(before, after *routes.Table) (bool, error) {
	var both [2]*config.Config
	for i, table := range []*routes.Table{before, after} {
		rendered, err := config.Render(table, config.Options{})
		if err != nil {
			return false, fmt.Errorf("pipelock: %w", err)
		}
		if both[i], err = config.Parse(rendered); err != nil {
			return false, err
		}
		both[i].APIAllowlist = nil
	}
	return reflect.DeepEqual(both[0], both[1]), nil
}

// widest renders the union of two tables. A host that one of them passes
// through is passed through, which egress trusts in either case. Nil when there
// is no such configuration; then a moment of refusals is the price.
func widest(before, after *routes.Table) []byte {
	all := append(after.Routes(), before.Routes()...)
	slices.SortStableFunc(all, func(a, b routes.Route) int {
		return passes(b) - passes(a)
	})
	table, err := routes.New(all)
	if err != nil {
		return nil
	}
	wide, err := config.Render(table, config.Options{})
	if err != nil {
		return nil
	}
	return wide
}

func passes(r routes.Route) int {
	if r.Pipelock == routes.Passthrough {
		return 1
	}
	return 0
}
