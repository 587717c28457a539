package main

import (
	"fmt"
	"net"

	"github.com/claude-bottle/claude-bottle/roles/gitgate"
	"github.com/claude-bottle/claude-bottle/roles/supervise"
)

// buildRoles builds the selected roles. Its errors are ones that no restart
// cures.
func (b *bundle) buildRoles() ([]role, error) {
	var roles []role
	for _, name := range b.config.roles {
		build, ok := map[string]func() (role, error){
			gitGateRole:   b.buildGitGate,
			superviseRole: b.buildSupervise,
		}[name]
		if !ok {
			return nil, fmt.Errorf("this build cannot run %s", name)
		}
		r, err := build()
		if err != nil {
			return nil, &roleError{name, err}
		}
		roles = append(roles, r)
	}
	return roles, nil
}

// roleError tells which role's configuration stands in the way of the start.
type roleError struct {
	role string
	error
}

func (b *bundle) buildGitGate() (role, error) {
	listeners, lasting, err := b.listen(gitGateRole, b.config.gitGate.listen, "GIT_GATE_LISTEN")
	if err != nil {
		return role{}, err
	}
	gate, err := gitgate.New(gitgate.Config{
		Listeners:  listeners,
		ConfigPath: b.config.gitGate.config,
		Tokens:     b.config.egress.tokens,
		Scanner:    b.scanner,
		Audit:      b.audit,
		Health:     b.health.Role(gitGateRole),
		Log:        b.logger(gitGateRole),
	})
	if err != nil {
		return role{}, err
	}
	return role{name: gitGateRole, run: gate.Run, listeners: lasting}, nil
}

func (b *bundle) buildSupervise() (role, error) {
	listeners, lasting, err := b.listen(superviseRole, b.config.supervise.listen, "SUPERVISE_LISTEN")
	if err != nil {
		return role{}, err
	}
	desk, err := supervise.New(supervise.Config{
		Listeners: listeners,
		Queue:     b.config.supervise.queue,
		Wait:      b.config.supervise.wait,
		Slug:      b.config.slug,
		Version:   version,
		Scanner:   b.scanner,
		Audit:     b.audit,
		Health:    b.health.Role(superviseRole),
		Log:       b.logger(superviseRole),
	})
	if err != nil {
		return role{}, err
	}
	return role{name: superviseRole, run: desk.Run, listeners: lasting}, nil
}

// listen opens a role's listeners so that they outlive its deaths.
func (b *bundle) listen(role, address, variable string) ([]net.Listener, []*lasting, error) {
	opened, err := b.sockets.listen(role, address, variable)
	if err != nil {
		return nil, nil, err
	}
	var listeners []net.Listener
	var all []*lasting
	for _, l := range opened {
		l := newLasting(l.(deadlineListener))
		listeners, all = append(listeners, l), append(all, l)
	}
	return listeners, all, nil
}
