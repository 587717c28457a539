package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// Limits of a bundle, which is small when idle and spools what is pushed.
const (
	bundlePids   = 1024
	bundleMemory = 2 << 30
	bundleTmp    = "size=1g,mode=1777"
)

// Where files are in the bundle.
const (
	secretsInside    = "/run/secrets/known"
	upstreamCAInside = "/etc/egress/upstream-ca.pem"
	upstreamCAInput  = "upstream-ca.pem"
)

// inputs are the places of state.Dir's In files in the bundle.
var inputs = map[string]string{
	"routes.yaml":         "/etc/egress/routes.yaml",
	"ca.pem":              "/etc/egress/ca.pem",
	"ca-key.pem":          "/etc/egress/ca-key.pem",
	"pipelock.yaml":       "/etc/pipelock.yaml",
	"pipelock-ca.pem":     "/etc/pipelock-ca.pem",
	"pipelock-ca-key.pem": "/etc/pipelock-ca-key.pem",
	"git-gate.yaml":       "/etc/git-gate/config.yaml",
	"keys":                "/etc/git-gate/keys",
	upstreamCAInput:       upstreamCAInside,
}

// createService makes a container of the bundle. It does not start it.
func (s *start) createService(ctx context.Context, of service) error {
	options, err := s.serviceOptions(of)
	if err != nil {
		return err
	}
	if _, err := s.api.ContainerCreate(ctx, options); err != nil {
		return explainCreate(options.Name, err)
	}
	return nil
}

// connectService connects one that is on both networks with the inner one.
func (s *start) connectService(ctx context.Context, of service) error {
	if !of.inner.IsValid() || !of.outer.IsValid() {
		return nil
	}
	slug, name := s.plan.Slug, of.container(s.plan.Slug)
	_, err := s.api.NetworkConnect(ctx, innerNetwork(slug), client.NetworkConnectOptions{
		Container: name, EndpointConfig: endpoint(of.inner, of),
	})
	if err != nil {
		return fmt.Errorf("connect %s with %s: %w", name, innerNetwork(slug), err)
	}
	return nil
}

// serviceOptions are what a container of the bundle is made of. Where it is on
// both networks it is yet to be connected with the inner one.
func (s *start) serviceOptions(of service) (client.ContainerCreateOptions, error) {
	slug := s.plan.Slug
	mounts, err := s.serviceMounts(of)
	if err != nil {
		return client.ContainerCreateOptions{}, err
	}
	pids := int64(bundlePids)
	// Older engines connect a container with one network when they make it.
	first, address := outerNetwork(slug), of.outer
	if !of.outer.IsValid() {
		first, address = innerNetwork(slug), of.inner
	}
	return client.ContainerCreateOptions{
		Name: of.container(slug),
		Config: &container.Config{
			Image: s.backend.options.Image, User: s.user.String(), Hostname: of.part,
			Env: of.env, Labels: labels(s.backend.options.Home, s.plan, of.part),
		},
		HostConfig: &container.HostConfig{
			NetworkMode:    container.NetworkMode(first),
			ReadonlyRootfs: true,
			CapDrop:        []string{"ALL"},
			SecurityOpt:    []string{"no-new-privileges"},
			// Between its two networks it must not be a router.
			Sysctls:       map[string]string{"net.ipv4.ip_forward": "0"},
			Tmpfs:         map[string]string{"/tmp": bundleTmp},
			Mounts:        mounts,
			RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyOnFailure, MaximumRetryCount: 5},
			LogConfig:     logConfig,
			Resources:     container.Resources{PidsLimit: &pids, Memory: bundleMemory, MemorySwap: bundleMemory},
		},
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			first: endpoint(address, of),
		}},
	}, nil
}

// endpoint is a service's end on one of its networks.
func endpoint(address netip.Addr, of service) *network.EndpointSettings {
	e := &network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: address}}
	if address == of.inner {
		e.Aliases = of.aliases
	}
	return e
}

// logConfig bounds what a container's log takes on the engine's disk.
var logConfig = container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "2"}}

// serviceMounts are the live files, one by one and read-only, and the
// folders that the bundle writes to. Every role gets the file of known secrets,
// also those of others: with it each one finds them in what it lets through and
// in what it writes down, and for nothing else.
func (s *start) serviceMounts(of service) ([]mount.Mount, error) {
	mounts := []mount.Mount{
		bind(filepath.Join(s.folders.out, "queue"), "/run/supervise/queue", false),
		bind(filepath.Join(s.folders.out, "audit"), "/run/audit", false),
		bind(filepath.Join(s.folders.out, healthFolder), healthInside, false),
		bind(s.secrets, secretsInside, true),
	}
	for _, name := range of.inputs {
		_, err := os.Lstat(filepath.Join(s.plan.State.In(), name))
		switch {
		case err == nil:
			mounts = append(mounts, bind(filepath.Join(s.folders.in, name), inputs[name], true))
		case !errors.Is(err, fs.ErrNotExist): // what the plan has no need of is not there
			return nil, err
		}
	}
	return mounts, nil
}

// copyUpstreamCA puts the operator's extra roots beside the other inputs.
func (s *start) copyUpstreamCA() error {
	for _, variable := range s.backend.options.BundleEnv {
		path, ok := strings.CutPrefix(variable, "EGRESS_UPSTREAM_CA=")
		if !ok || path == "" {
			continue
		}
		content, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(filepath.Join(s.plan.State.In(), upstreamCAInput), content, 0o600)
		}
		if err != nil {
			return fmt.Errorf("EGRESS_UPSTREAM_CA: %w", err)
		}
	}
	return nil
}

func bind(source, target string, readOnly bool) mount.Mount {
	return mount.Mount{Type: mount.TypeBind, Source: source, Target: target, ReadOnly: readOnly}
}

func explainCreate(name string, err error) error {
	if strings.Contains(err.Error(), "already in use") {
		return fmt.Errorf("a container %s exists already; `bottle cleanup` removes what a dead bottle left, or choose another label: %w", name, err)
	}
	return fmt.Errorf("container %s: %w", name, err)
}
