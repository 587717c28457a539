// Package docker runs bottles as containers of a Docker engine.
//
// A bottle is two networks and two containers, or, in the split shape, one
// container for each role beside the agent's. The inner network is internal
// and holds agent and bundle alone; its bridge has no address on the host. The
// outer one leads the bundle, and nobody else, to the internet. The agent's
// container starts with bottle-init, which runs no command until the network
// was sealed from inside (nothing may leave but TCP to the bundle's
// agent-facing ports), containment was proved from inside, and `bottle up`
// opened the gate. A container that somebody else starts again stays at its
// gate.
//
// Containers outlive `bottle up`; every bottle is found again by its labels.
package docker

import (
	"path/filepath"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/state"
)

// Name is the backend's name.
const Name = "docker"

// The images that are used when nobody names others.
const (
	DefaultImage      = "claude-bottle-sidecars:latest"
	DefaultAgentImage = "claude-bottle-agent:latest"
)

// Options of the backend.
type Options struct {
	// Home is where the bottles' state folders are.
	Home state.Home
	// Image is the bundle's image; empty = DefaultImage.
	Image string
	// AgentImage is for bottles that name none; empty = DefaultAgentImage.
	AgentImage string
	// Split gives each role a container of its own; otherwise one has them all.
	Split bool
	// BundleEnv are further variables of the bundle, NAME=value. They win over
	// those that the plan gives. A file named by EGRESS_UPSTREAM_CA is the
	// host's.
	BundleEnv []string
}

// Backend runs bottles in containers.
type Backend struct{ options Options }

var _ backend.Backend = (*Backend)(nil)

// New returns the backend. It does nothing yet.
func New(o Options) backend.Backend {
	if o.Image == "" {
		o.Image = DefaultImage
	}
	if o.AgentImage == "" {
		o.AgentImage = DefaultAgentImage
	}
	// The engine takes no relative paths, and labels must tell homes apart.
	if whole, err := filepath.Abs(string(o.Home)); err == nil {
		o.Home = state.Home(whole)
	}
	return &Backend{options: o}
}

// Name is "docker".
func (b *Backend) Name() string { return Name }
