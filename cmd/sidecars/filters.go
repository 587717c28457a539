package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/claude-bottle/claude-bottle/agentenv"
	"github.com/claude-bottle/claude-bottle/roles/egress"
	"github.com/claude-bottle/claude-bottle/roles/pipelock"
	"github.com/claude-bottle/claude-bottle/supervisor"
)

// firewall is the pipelock role before it runs; egress needs it as next hop.
// A nil *firewall is none.
type firewall struct {
	*pipelock.Role
	door []*lasting // leads to the child; empty when egress has the door
}

// buildPipelock builds the role if it is selected. PIPELOCK_LISTEN leads to the
// child only where no egress is beside it.
func (b *bundle) buildPipelock() (*firewall, error) {
	if !b.config.selected(pipelockRole) {
		return nil, nil
	}
	c := b.config.pipelock
	roots, err := b.childRoots()
	if err != nil {
		return nil, err
	}
	var listeners []net.Listener
	f := &firewall{}
	if !b.config.selected(egressRole) {
		if listeners, f.door, err = b.listen(pipelockRole, c.listen, "PIPELOCK_LISTEN"); err != nil {
			return nil, err
		}
	}
	f.Role, err = pipelock.New(pipelock.Config{
		Bin:         c.bin,
		SHA256:      c.sha256,
		ConfigPath:  c.config,
		CACertPath:  c.caCert,
		CAKeyPath:   c.caKey,
		TrustedCAs:  roots,
		Listeners:   listeners,
		BearerToken: c.token,
		Start:       b.reaper.Start,
		Secrets:     b.known,
		Scanner:     b.scanner,
		Audit:       b.audit,
		Health:      b.health.Role(pipelockRole),
		Log:         b.logger(pipelockRole),
		RunDir:      b.runDir,
		StopGrace:   b.grace - killMargin,
	})
	return f, err
}

// role is the firewall's run loop, with the child's exit code as its own.
func (f *firewall) role() role {
	run := func(ctx context.Context) error {
		err := f.Run(ctx)
		var death interface{ ExitCode() int }
		switch {
		case errors.Is(err, pipelock.ErrPin) || errors.Is(err, pipelock.ErrConfig):
			return supervisor.Permanent(err)
		case errors.As(err, &death):
			return &supervisor.ExitError{Code: death.ExitCode(), Err: err}
		}
		return err
	}
	return role{run: run, listeners: f.door, replace: f.Replace}
}

// buildEgress builds the role with its second door: the proxy's old address
// belongs to egress, so that nobody talks to pipelock around it.
func (b *bundle) buildEgress(f *firewall) (role, error) {
	c := b.config.egress
	listeners, all, err := b.listen(egressRole, c.listen, "EGRESS_LISTEN")
	if err != nil {
		return role{}, err
	}
	config := egress.Config{
		Listeners:      listeners,
		RoutesPath:     c.routes,
		CACertPath:     c.caCert,
		CAKeyPath:      c.caKey,
		Tokens:         c.tokens,
		UpstreamCAPath: c.upstreamCA,
		GrantsPath:     b.beside("grants.json"),
		Scanner:        b.scanner,
		Audit:          b.audit,
		Health:         b.health.Role(egressRole),
		Log:            b.logger(egressRole),
	}
	if config.OnFinding, err = b.askAboutFindings(); err != nil {
		return role{}, err
	}
	if f != nil || b.config.pipelock.listenSet || b.sockets.has(pipelockRole) {
		door, more, err := b.listen(pipelockRole, b.config.pipelock.listen, "PIPELOCK_LISTEN")
		if err != nil {
			return role{}, err
		}
		config.PipelockDoor, all = door, append(all, more...)
	}
	switch {
	case c.upstreamProxy != "":
		if config.NextHop, err = egress.ProxyURL(c.upstreamProxy); err != nil {
			return role{}, fmt.Errorf("EGRESS_UPSTREAM_PROXY: %w", err)
		}
		if err := notOurselves(c.upstreamProxy, all); err != nil {
			return role{}, err
		}
		if b.config.pipelock.caCertSet { // a pipelock in another bundle
			config.PipelockCAPath = b.config.pipelock.caCert
		}
	case f != nil:
		config.NextHop, config.PipelockCAPath = f, b.config.pipelock.caCert
	}
	if f != nil {
		config.ChildHealth = f.HealthHandler()
	}
	proxy, err := egress.New(config)
	if err != nil {
		return role{}, err
	}
	reload := func() { _ = proxy.Reload() } // it logs its own refusal
	return role{run: proxy.Run, listeners: all, reload: reload}, nil
}

// notOurselves refuses a next hop that is one of egress's own doors: requests
// would go round for ever.
func notOurselves(proxy string, doors []*lasting) error {
	u, err := url.Parse(proxy)
	if err != nil {
		return errors.New("EGRESS_UPSTREAM_PROXY is no URL")
	}
	ip := net.ParseIP(u.Hostname())
	if u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback() && !ip.IsUnspecified()) {
		return nil
	}
	for _, door := range doors {
		if address, ok := door.Addr().(*net.TCPAddr); ok && strconv.Itoa(address.Port) == u.Port() {
			return fmt.Errorf("EGRESS_UPSTREAM_PROXY leads back to egress at %s; leave it unset to go through the pipelock role", u.Host)
		}
	}
	return nil
}

// childRoots is the PEM file of the roots that pipelock trusts for origins: the
// system's and those of EGRESS_UPSTREAM_CA. "" is the system's alone.
func (b *bundle) childRoots() (string, error) {
	system := os.Getenv("SSL_CERT_FILE")
	if b.config.egress.upstreamCA == "" {
		return system, nil
	}
	var roots []byte
	var err error
	if system != "" {
		roots, err = os.ReadFile(system)
	} else {
		roots, err = agentenv.HostRoots()
	}
	if err != nil {
		return "", fmt.Errorf("trusted roots: %w", err)
	}
	extra, err := os.ReadFile(b.config.egress.upstreamCA)
	if err != nil {
		return "", fmt.Errorf("EGRESS_UPSTREAM_CA: %w", err)
	}
	path := filepath.Join(b.runDir, "roots.pem")
	return path, os.WriteFile(path, bytes.Join([][]byte{roots, extra}, []byte("\n")), 0o600)
}
