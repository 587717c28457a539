package compose

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"github.com/claude-bottle/claude-bottle/backend/docker"
)

// healthInterval is how soon compose sees that a container is ready. The image's
// own is for containers that run for days.
const healthInterval = 2 * time.Second

// service is a container's part of the file. What it has and the file would not
// say is an error.
func service(c docker.Container, networks map[string]string) (types.ServiceConfig, error) {
	s := types.ServiceConfig{Name: c.Part, ContainerName: c.Name}
	config, host := c.Config, c.HostConfig
	s.Image, s.User, s.Hostname, s.WorkingDir = config.Image, config.User, config.Hostname, config.WorkingDir
	s.Entrypoint, s.Command = literals(config.Entrypoint), literals(config.Cmd)
	s.StdinOpen, s.Tty = config.OpenStdin, config.Tty
	s.Labels = ownLabels(config.Labels)
	s.HealthCheck = healthCheck(config.Healthcheck)
	s.Environment = environment(c)
	if c.EnvFile != "" {
		s.EnvFiles = []types.EnvFile{{Path: literal(c.EnvFile), Required: true}}
	}
	s.DependsOn = types.DependsOnConfig{}
	for part, need := range c.Needs {
		s.DependsOn[part] = types.ServiceDependency{Condition: string(need), Required: true}
	}
	s.ReadOnly = host.ReadonlyRootfs
	s.CapDrop, s.CapAdd = host.CapDrop, host.CapAdd
	s.SecurityOpt = literals(host.SecurityOpt)
	s.Sysctls = host.Sysctls
	s.Runtime = host.Runtime
	s.Restart = restart(host.RestartPolicy)
	s.Logging = &types.LoggingConfig{Driver: host.LogConfig.Type, Options: host.LogConfig.Config}
	for path, options := range host.Tmpfs {
		s.Tmpfs = append(s.Tmpfs, path+":"+options)
	}
	slices.Sort(s.Tmpfs)
	limits(&s, host.Resources)
	if len(host.ExtraHosts) > 0 {
		var err error
		if s.ExtraHosts, err = types.NewHostsList(host.ExtraHosts); err != nil {
			return s, err
		}
	}
	for _, m := range host.Mounts {
		volume, err := volume(m)
		if err != nil {
			return s, err
		}
		s.Volumes = append(s.Volumes, volume)
	}
	return s, connect(&s, c, networks)
}

// connect puts a service on its networks.
func connect(s *types.ServiceConfig, c docker.Container, networks map[string]string) error {
	switch {
	case c.NetworkOf != "":
		s.NetworkMode = "service:" + c.NetworkOf
		return nil
	case c.NetworkingConfig == nil && c.HostConfig.NetworkMode.IsNone():
		s.NetworkMode = "none"
		return nil
	case c.NetworkingConfig == nil:
		return errors.New("it is on no network")
	}
	s.Networks = map[string]*types.ServiceNetworkConfig{}
	for name, end := range c.NetworkingConfig.EndpointsConfig {
		part, ok := networks[name]
		if !ok {
			return fmt.Errorf("the network %s is not the bottle's", name)
		}
		s.Networks[part] = &types.ServiceNetworkConfig{Aliases: end.Aliases, Ipv4Address: end.IPAMConfig.IPv4Address.String()}
	}
	return nil
}

// environment are a container's variables and those that come from outside.
func environment(c docker.Container) types.MappingWithEquals {
	all := types.MappingWithEquals{}
	for _, variable := range c.Config.Env {
		name, value, _ := strings.Cut(variable, "=")
		value = literal(value)
		all[name] = &value
	}
	for _, name := range slices.Sorted(maps.Keys(c.From)) {
		value := fmt.Sprintf("${%s:?it holds a credential of this bottle}", c.From[name])
		all[name] = &value
	}
	return all
}

func healthCheck(h *container.HealthConfig) *types.HealthCheckConfig {
	if h != nil && slices.Equal(h.Test, []string{"NONE"}) {
		return &types.HealthCheckConfig{Disable: true}
	}
	interval := types.Duration(healthInterval)
	return &types.HealthCheckConfig{Test: types.HealthCheckTest{"CMD", "/sidecars", "health"}, Interval: &interval}
}

func restart(p container.RestartPolicy) string {
	if p.Name == container.RestartPolicyOnFailure && p.MaximumRetryCount > 0 {
		return fmt.Sprintf("%s:%d", p.Name, p.MaximumRetryCount)
	}
	if p.Name == "" {
		return string(container.RestartPolicyDisabled)
	}
	return string(p.Name)
}

func limits(s *types.ServiceConfig, r container.Resources) {
	if r.PidsLimit != nil {
		s.PidsLimit = *r.PidsLimit
	}
	s.MemLimit, s.MemSwapLimit = types.UnitBytes(r.Memory), types.UnitBytes(r.MemorySwap)
	for _, limit := range r.Ulimits {
		if s.Ulimits == nil {
			s.Ulimits = map[string]*types.UlimitsConfig{}
		}
		s.Ulimits[limit.Name] = &types.UlimitsConfig{Soft: int(limit.Soft), Hard: int(limit.Hard)}
	}
}

// volume is a mount. A file or folder of the host that is not there is an error
// at the start, not an empty folder made by the engine.
func volume(m mount.Mount) (types.ServiceVolumeConfig, error) {
	v := types.ServiceVolumeConfig{Type: string(m.Type), Source: literal(m.Source), Target: literal(m.Target), ReadOnly: m.ReadOnly}
	switch m.Type {
	case mount.TypeBind:
		v.Bind = &types.ServiceVolumeBind{CreateHostPath: false}
	case mount.TypeVolume:
		v.Volume = &types.ServiceVolumeVolume{NoCopy: true}
	default:
		return v, fmt.Errorf("a mount of kind %s", m.Type)
	}
	return v, nil
}
