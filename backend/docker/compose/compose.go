// Package compose writes a bottle as a compose file, for `docker compose up`
// instead of `bottle up`.
package compose

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/claude-bottle/claude-bottle/backend/docker"
)

// Render writes a shape as a compose file. It holds no secret: values of
// variables that it does not know stand as ${NAME:?}, what is private to the
// bottle is in files that it names. What it writes was read again and is valid.
func Render(s docker.Shape) ([]byte, error) {
	project := &types.Project{
		Name:     projectName(s.Slug),
		Services: types.Services{},
		Networks: types.Networks{},
		Volumes:  types.Volumes{},
	}
	parts := make(map[string]string) // of networks by their names on the engine
	for _, n := range s.Networks {
		parts[n.Name] = n.Part
		project.Networks[n.Part] = network(n)
	}
	for name, labels := range s.Volumes {
		project.Volumes[name] = types.VolumeConfig{Labels: ownLabels(labels)}
	}
	for _, c := range s.Containers {
		rendered, err := service(c, parts)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", c.Part, err)
		}
		project.Services[c.Part] = rendered
	}
	body, err := project.MarshalYAML()
	if err != nil {
		return nil, fmt.Errorf("write the compose file: %w", err)
	}
	content := append([]byte(header(s)), body...)
	content = append(bytes.TrimRight(content, "\n"), '\n')
	if err := Validate(context.Background(), content, s.Variables()); err != nil {
		return nil, err
	}
	return content, nil
}

func projectName(slug string) string { return "claude-bottle-" + slug }

// Validate reads a compose file as docker compose does. The variables are those
// that it may refer to; their values do not matter.
func Validate(ctx context.Context, content []byte, variables []string) error {
	environment := types.Mapping{}
	for _, name := range variables {
		environment[name] = "set"
	}
	_, err := loader.LoadWithContext(ctx, types.ConfigDetails{
		WorkingDir:  "/",
		Environment: environment,
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: content}},
	}, func(o *loader.Options) { o.SkipResolveEnvironment = true })
	if err != nil {
		return fmt.Errorf("the compose file is not valid: %w", err)
	}
	return nil
}

func network(n docker.Network) types.NetworkConfig {
	config := types.NetworkConfig{
		Name: n.Name, Driver: n.Driver, DriverOpts: n.Options, Internal: n.Internal, EnableIPv6: n.EnableIPv6, Labels: ownLabels(n.Labels),
	}
	for _, pool := range n.IPAM.Config {
		config.Ipam.Config = append(config.Ipam.Config, &types.IPAMPool{Subnet: pool.Subnet.String()})
	}
	return config
}

// ownLabels are without those that compose sets itself.
func ownLabels(labels map[string]string) types.Labels {
	own := types.Labels{}
	for name, value := range labels {
		if !strings.HasPrefix(name, "com.docker.compose.") {
			own[name] = literal(value)
		}
	}
	return own
}

// literal writes a text so that compose replaces nothing in it.
func literal(text string) string { return strings.ReplaceAll(text, "$", "$$") }

func literals(texts []string) []string {
	all := slices.Clone(texts)
	for i, text := range all {
		all[i] = literal(text)
	}
	return all
}
