package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/roles/gitgate"
	"github.com/claude-bottle/claude-bottle/roles/supervise"
)

// roleError tells which role stands in the way of the start.
type roleError struct {
	role string
	error
}

func (e *roleError) Unwrap() error { return e.error }

// healthPatience is how long another bundle may take to tell its health.
const healthPatience = 2 * time.Second

// buildRoles builds the selected roles. Its errors are ones that no restart
// cures.
func (b *bundle) buildRoles() ([]role, error) {
	firewall, err := b.buildPipelock()
	if err != nil {
		return nil, &roleError{pipelockRole, err}
	}
	builders := map[string]func() (role, error){
		egressRole:    func() (role, error) { return b.buildEgress(firewall) },
		pipelockRole:  func() (role, error) { return firewall.role(), nil },
		gitGateRole:   b.buildGitGate,
		superviseRole: b.buildSupervise,
	}
	var roles []role
	for _, name := range b.config.roles {
		r, err := builders[name]()
		if err != nil {
			return nil, &roleError{name, err}
		}
		r.name = name
		roles = append(roles, r)
	}
	return roles, nil
}

func (b *bundle) buildGitGate() (role, error) {
	listeners, lasting, err := b.listen(gitGateRole, b.config.gitGate.listen, "GIT_GATE_LISTEN")
	if err != nil {
		return role{}, err
	}
	client, err := gitClient(b.config.egress.upstreamCA)
	if err != nil {
		return role{}, err
	}
	gate, err := gitgate.New(gitgate.Config{
		Listeners:  listeners,
		ConfigPath: b.config.gitGate.config,
		Tokens:     b.config.egress.tokens,
		HTTPClient: client,
		Slug:       b.config.slug,
		Queue:      b.queue(),
		SpoolDir:   b.runDir,
		Scanner:    b.scanner,
		Audit:      b.audit,
		Health:     b.health.Role(gitGateRole),
		Log:        b.logger(gitGateRole),
	})
	if err != nil {
		return role{}, err
	}
	return role{run: gate.Run, listeners: lasting}, nil
}

// gitClient reaches HTTPS upstreams whose roots are not all the system's; nil
// when they are.
func gitClient(extraRoots string) (*http.Client, error) {
	if extraRoots == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(extraRoots)
	if err != nil {
		return nil, fmt.Errorf("EGRESS_UPSTREAM_CA: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("the system's trusted roots: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("EGRESS_UPSTREAM_CA: %s holds no certificate in PEM", extraRoots)
	}
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: roots},
			ForceAttemptHTTP2:   true,
			TLSHandshakeTimeout: 10 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
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
		Routes:    b.liveRoutes,
		Version:   version,
		Scanner:   b.scanner,
		Audit:     b.audit,
		Health:    b.health.Role(superviseRole),
		Log:       b.logger(superviseRole),
	})
	if err != nil {
		return role{}, err
	}
	return role{run: desk.Run, listeners: lasting}, nil
}

// liveRoutes is the table that egress has in force. It is not known while the
// file is another one than that, after a refused reload, nor where egress runs
// in another bundle that does not tell its health here.
func (b *bundle) liveRoutes() (*routes.Table, int) {
	report := b.health.Role(egressRole).Report()
	if address := b.config.egress.health; address != "" && !b.config.selected(egressRole) {
		ctx, cancel := context.WithTimeout(context.Background(), healthPatience)
		defer cancel()
		elsewhere, _, err := health.Probe(ctx, address)
		if err != nil {
			return nil, 0
		}
		report = elsewhere.Roles[egressRole]
	}
	content, err := os.ReadFile(b.config.egress.routes)
	if err != nil {
		return nil, 0
	}
	table, err := routes.Parse(content)
	if err != nil || table.SHA256() != report.ConfigSHA256 {
		return nil, 0
	}
	return table, report.Generation
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
