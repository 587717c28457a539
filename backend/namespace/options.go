// Package namespace runs bottles in Linux namespaces, with nothing to install.
//
// A bottle is three processes. `bottle up` stays outside as the operator and
// owns everything: the control socket, the bundle, the agent's listeners. The
// bundle runs outside beside it. The init is PID 1 of the bottle: this program
// again, started by Main in new namespaces, in two lives. The first (setup)
// builds the agent's world with the capabilities of a fresh user namespace;
// then it gives up all of them for good and executes itself once more. The
// second (resident) starts commands when `bottle up` says so, reaps, and is
// trusted by nobody: what it says is read like the agent's own words.
//
// The workspace is shared with the host, with all that follows: a program of the
// host that listens on a unix socket in it can be reached by the agent, and what
// the agent writes there is run by whoever runs it. The workspace's own git
// hooks alone are protected.
package namespace

import "github.com/claude-bottle/claude-bottle/state"

// Name is the backend's name.
const Name = "namespace"

// Options of the backend.
type Options struct {
	// Home is where the bottles' state folders are.
	Home state.Home
	// Self is the path of this program, which calls Main first thing. The
	// program must be executable for everybody when the operator is root.
	Self string
	// Sidecars is the path of the bundle's program.
	Sidecars string
	// BundleEnv are further variables of the bundle, NAME=value. They win over
	// those that the plan gives.
	BundleEnv []string
}
