package docker

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/claude-bottle/claude-bottle/plan"
)

// Shape is all that a bottle is made of on an engine, for another program to
// make it. No secret value is in it.
type Shape struct {
	Slug     string
	Networks []Network
	// Volumes by the names that mounts have for them, with their labels.
	Volumes map[string]map[string]string
	// Containers are in the order in which they start.
	Containers []Container
}

// Network is one of a bottle's two.
type Network struct {
	// Part is its name among the bottle's, Name its name on the engine.
	Part, Name string
	client.NetworkCreateOptions
}

// Container is one of a bottle's. Its networks are by their names on the engine.
type Container struct {
	// Part is its name among the bottle's.
	Part string
	client.ContainerCreateOptions
	// From are variables that get their values from the environment of whoever
	// starts the bottle, by the names that they have there.
	From map[string]string
	// EnvFile holds further variables; empty = none.
	EnvFile string
	// Needs are the parts that have to be started, healthy or ended before.
	Needs map[string]Need
	// NetworkOf is the part whose network it is in; empty = its own.
	NetworkOf string
}

// Need is what a container waits for in another one.
type Need string

// The needs, as compose calls them.
const (
	Started Need = "service_started"
	Healthy Need = "service_healthy"
	Ended   Need = "service_completed_successfully"
)

// Names of what only a bottle without `bottle up` has.
const (
	partInstall   = "install"
	shapeFolder   = "shape" // below state.Dir's Run folder
	volumeInit    = "init"
	volumeHome    = "home"
	furniture     = "/furniture" // the files of the home, in install's container
	installFolder = "/install"
	installHome   = "/home"
)

// Shape lays out on this machine what the bottle needs, as Start does, and says
// what has to be made on the engine. The plan's inputs must be written. What is
// laid out stays until the bottle is removed; what of it is in memory, the file
// of secrets, is gone with the machine's next start.
func (b *Backend) Shape(p *plan.Plan) (Shape, error) {
	if len(p.Command) == 0 {
		return Shape{}, errors.New("the plan has no command")
	}
	if p.Dockerfile != "" {
		return Shape{}, fmt.Errorf("%s has to be built first: build it with \"docker build\" and name the image as agent.image", p.Dockerfile)
	}
	workspace, err := checkWorkspace(p.Workspace, b.options.Home)
	if err != nil {
		return Shape{}, err
	}
	k, err := claim(p)
	if err != nil {
		return Shape{}, err
	}
	defer k.release()
	s := &start{backend: b, plan: withoutTokens(p), workspace: workspace, user: operator(), image: p.Image}
	if s.image == "" {
		s.image = b.options.AgentImage
	}
	s.layout = layout{
		plan: s.plan, split: b.options.Split, token: rand.Text(), extra: b.options.BundleEnv,
		inner: wire{subnetOf(innerNetwork(p.Slug), 0)}, outer: wire{subnetOf(outerNetwork(p.Slug), 0)},
	}
	if s.layout.inner == s.layout.outer {
		s.layout.outer = wire{subnetOf(outerNetwork(p.Slug), 1)}
	}
	shape, err := s.shape(p.Credentials)
	s.letGo()
	if err == nil {
		err = k.update("running")
	}
	if err != nil {
		return Shape{}, errors.Join(err, removeLocal(b.options.Home, p.State, workspace))
	}
	return shape, nil
}

// Forget removes what Shape laid out outside the plan's own files.
func (b *Backend) Forget(p *plan.Plan) error {
	return removeLocal(b.options.Home, p.State, p.Workspace)
}

// withoutTokens is the plan without the values that a shape must not hold.
func withoutTokens(p *plan.Plan) *plan.Plan {
	without := *p
	without.Tokens = nil
	return &without
}

func (s *start) shape(credentials map[string]string) (Shape, error) {
	if err := s.layOut(); err != nil {
		return Shape{}, err
	}
	home, slug := s.backend.options.Home, s.plan.Slug
	shape := Shape{
		Slug: slug,
		Networks: []Network{
			s.network(partInner, innerNetwork(slug), s.layout.inner, innerOptions(oldestAPI)),
			s.network(partOuter, outerNetwork(slug), s.layout.outer, nil),
		},
		Volumes: map[string]map[string]string{volumeInit: ownLabels(home, slug, volumeInit), volumeHome: ownLabels(home, slug, volumeHome)},
	}
	for _, of := range s.layout.services() {
		c, err := s.serviceShape(of, credentials)
		if err != nil {
			return Shape{}, err
		}
		shape.Containers = append(shape.Containers, c)
	}
	agent, err := s.agentShape()
	if err != nil {
		return Shape{}, err
	}
	shape.Containers = append(shape.Containers, s.installShape(), agent, Container{
		Part: partSeal, ContainerCreateOptions: s.sealOptions(), NetworkOf: partAgent, Needs: map[string]Need{partAgent: Started},
	})
	return shape, nil
}

func (s *start) network(part, name string, w wire, options map[string]string) Network {
	no := false
	return Network{Part: part, Name: name, NetworkCreateOptions: client.NetworkCreateOptions{
		Driver: "bridge", EnableIPv6: &no, Internal: part == partInner, Options: options,
		IPAM:   &network.IPAM{Driver: "default", Config: []network.IPAMConfig{{Subnet: w.subnet}}},
		Labels: networkLabels(s.backend.options.Home, s.plan.Slug, part),
	}}
}

// secretVariables may hold a password, so that they are in a file.
var secretVariables = []string{"EGRESS_UPSTREAM_PROXY", "PIPELOCK_TOKEN"}

// serviceShape is a container of the bundle.
func (s *start) serviceShape(of service, credentials map[string]string) (Container, error) {
	options, err := s.serviceOptions(of)
	if err != nil {
		return Container{}, err
	}
	c := Container{Part: of.part, ContainerCreateOptions: options, Needs: map[string]Need{}}
	if of.inner.IsValid() && of.outer.IsValid() {
		c.NetworkingConfig.EndpointsConfig[innerNetwork(s.plan.Slug)] = endpoint(of.inner, of)
	}
	for _, part := range of.needs {
		c.Needs[part] = Healthy
	}
	c.From = maps.Clone(credentials)
	maps.DeleteFunc(c.From, func(name, _ string) bool {
		return !slices.ContainsFunc(s.plan.TokenRoles[name], func(role string) bool { return slices.Contains(of.daemons, role) })
	})
	var hidden []string
	c.Config.Env = slices.DeleteFunc(slices.Clone(c.Config.Env), func(variable string) bool {
		if name, _, _ := strings.Cut(variable, "="); !slices.Contains(secretVariables, name) {
			return false
		}
		hidden = append(hidden, variable)
		return true
	})
	if len(hidden) > 0 {
		c.EnvFile, err = s.keep(of.part+".env", 0o600, envFileText(hidden))
	}
	return c, err
}

// envFileText is an env_file's, read without interpolation.
func envFileText(variables []string) []byte {
	var text strings.Builder
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		text.WriteString(name + "='" + strings.ReplaceAll(value, "'", "%27") + "'\n")
	}
	return []byte(text.String())
}

// Variables are the names of the variables that whoever starts the bottle has to
// set, sorted.
func (s Shape) Variables() []string {
	names := map[string]bool{}
	for _, c := range s.Containers {
		for _, name := range c.From {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
