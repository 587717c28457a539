package docker

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// Where bottle-init and its file of variables are in an agent's container.
const (
	initFolder = "/.claude-bottle"
	initInside = initFolder + "/bottle-init"
	envInside  = initFolder + "/env"
	// initOutside is the program in the bundle's image.
	initOutside = "/bottle-init"
)

// runsc is gVisor's runtime, used where the engine knows it.
const runsc = "runsc"

// createAgent makes the agent's container. It does not start it.
func (s *start) createAgent(ctx context.Context, terminal bool) (id string, err error) {
	options, err := s.agentOptions(terminal)
	if err != nil {
		return "", err
	}
	created, err := s.api.ContainerCreate(ctx, options)
	if errdefs.IsNotFound(err) {
		return "", fmt.Errorf("the agent's image %s is not on this engine; get it with \"docker pull\" or \"docker build\": %w", s.image, err)
	}
	if err != nil {
		return "", explainCreate(options.Name, err)
	}
	return created.ID, nil
}

// agentOptions are what the agent's container is made of.
func (s *start) agentOptions(terminal bool) (client.ContainerCreateOptions, error) {
	slug := s.plan.Slug
	config := &container.Config{
		Image: s.image, User: s.user.String(), Hostname: slug, WorkingDir: "/workspace",
		Env: publicEnv(s.plan.AgentEnv, s.plan.Supplied), Labels: labels(s.backend.options.Home, s.plan, partAgent),
		Entrypoint: []string{initInside}, Cmd: append([]string{"run", "--"}, s.plan.Command...),
		Tty: terminal, OpenStdin: true, StdinOnce: !terminal, AttachStdin: true, AttachStdout: true, AttachStderr: true,
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
	}
	mounts, err := s.agentMounts()
	if err != nil {
		return client.ContainerCreateOptions{}, err
	}
	security := []string{"no-new-privileges"}
	profile, err := seccompProfile()
	if err != nil {
		return client.ContainerCreateOptions{}, err
	}
	if profile != "" {
		security = append(security, "seccomp="+profile)
	}
	host := &container.HostConfig{
		NetworkMode: container.NetworkMode(innerNetwork(slug)),
		ExtraHosts:  s.layout.extraHosts(),
		CapDrop:     []string{"ALL"},
		SecurityOpt: security,
		Mounts:      mounts,
		Runtime:     s.runtime,
		LogConfig:   logConfig,
		Resources: container.Resources{
			Memory: s.plan.Limits.MemoryBytes, MemorySwap: s.plan.Limits.MemoryBytes,
			Ulimits: []*container.Ulimit{{Name: "core"}},
		},
	}
	if s.plan.Limits.Pids > 0 {
		host.PidsLimit = &s.plan.Limits.Pids
	}
	return client.ContainerCreateOptions{
		Name: agentContainer(slug), Config: config, HostConfig: host,
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			innerNetwork(slug): {IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: s.layout.inner.at(places[partAgent])}},
		}},
	}, nil
}

// publicEnv is what the engine may show: all but what the operator supplied.
func publicEnv(env, supplied []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(variable string) bool { return isSupplied(variable, supplied) })
}

// hiddenEnv is the rest, as bottle-init reads it.
func hiddenEnv(env, supplied []string) []byte {
	var b strings.Builder
	for _, variable := range env {
		if isSupplied(variable, supplied) {
			b.WriteString(variable + "\x00")
		}
	}
	return []byte(b.String())
}

func isSupplied(variable string, supplied []string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return slices.Contains(supplied, name)
}

// agentMounts are the workspace, what of it is protected, and a resolv.conf
// that names nobody.
func (s *start) agentMounts() ([]mount.Mount, error) {
	mounts := []mount.Mount{
		bind(s.folders.workspace, "/workspace", false),
		bind(filepath.Join(s.folders.in, emptyResolv), "/etc/resolv.conf", true),
	}
	protected, err := protect(s.workspace)
	if err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(protected)) { // outer folders first
		mounts = append(mounts, bind(filepath.Join(s.folders.workspace, path), "/workspace/"+filepath.ToSlash(path), protected[path]))
	}
	return mounts, nil
}

// emptyResolv is the agent's resolv.conf among the inputs.
const emptyResolv = "resolv.conf"
