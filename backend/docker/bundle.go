package docker

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
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

// createBundle makes the bundle's container on the outer network and connects
// it with the inner one. It does not start it.
func (s *start) createBundle(ctx context.Context) (id string, err error) {
	slug := s.plan.Slug
	mounts, err := s.bundleMounts()
	if err != nil {
		return "", err
	}
	pids := int64(bundlePids)
	created, err := s.api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: bundleContainer(slug),
		Config: &container.Config{
			Image: s.backend.options.Image, User: s.user.String(), Hostname: partBundle,
			Env: s.bundleEnv(), Labels: labels(s.backend.options.Home, s.plan, partBundle),
		},
		HostConfig: &container.HostConfig{
			NetworkMode:    container.NetworkMode(outerNetwork(slug)),
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
	})
	if err != nil {
		return "", explainCreate(bundleContainer(slug), err)
	}
	_, err = s.api.NetworkConnect(ctx, innerNetwork(slug), client.NetworkConnectOptions{
		Container: created.ID,
		EndpointConfig: &network.EndpointSettings{
			Aliases:    aliases(slug),
			IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: s.inner.bundle()},
		},
	})
	if err != nil {
		return created.ID, fmt.Errorf("connect %s with %s: %w", bundleContainer(slug), innerNetwork(slug), err)
	}
	return created.ID, nil
}

// logConfig bounds what a container's log takes on the engine's disk.
var logConfig = container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "2"}}

// bundleEnv is the bundle's whole environment. The engine shows it to whoever
// may use the engine, and to no agent.
func (s *start) bundleEnv() []string {
	env := []string{
		"CLAUDE_BOTTLE_SIDECAR_DAEMONS=" + strings.Join(s.plan.Daemons, ","),
		"CLAUDE_BOTTLE_SLUG=" + s.plan.Slug,
		"CLAUDE_BOTTLE_SECRETS=" + secretsInside,
		"SUPERVISE_QUEUE=/run/supervise/queue",
		"CLAUDE_BOTTLE_AUDIT=/run/audit/bundle.jsonl",
	}
	env = append(env, listenVariables(s.inner.bundle())...)
	for _, name := range slices.Sorted(maps.Keys(s.plan.Tokens)) {
		env = append(env, name+"="+s.plan.Tokens[name])
	}
	for _, variable := range s.backend.options.BundleEnv {
		if name, value, _ := strings.Cut(variable, "="); name == "EGRESS_UPSTREAM_CA" && value != "" {
			variable = name + "=" + upstreamCAInside
		}
		env = append(env, variable)
	}
	return env
}

// bundleMounts are the live files, one by one and read-only, and the two
// folders that the bundle writes to.
func (s *start) bundleMounts() ([]mount.Mount, error) {
	if err := s.copyUpstreamCA(); err != nil {
		return nil, err
	}
	mounts := []mount.Mount{
		bind(filepath.Join(s.folders.out, "queue"), "/run/supervise/queue", false),
		bind(filepath.Join(s.folders.out, "audit"), "/run/audit", false),
		bind(s.secrets, secretsInside, true),
	}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		if _, err := os.Lstat(filepath.Join(s.plan.State.In(), name)); err == nil {
			mounts = append(mounts, bind(filepath.Join(s.folders.in, name), inputs[name], true))
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
