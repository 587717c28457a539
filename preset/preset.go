// Package preset has named sets of routes for what most bottles need. All has
// them; docs/presets.md tells what each opens.
//
// A preset never carries a credential: a bottle that has one names the host
// again in a route of its own. That route replaces the preset's and takes from
// them what it leaves out, so {host, auth} adds a credential and opens nothing
// more.
package preset

import (
	"fmt"
	"strings"

	"github.com/claude-bottle/claude-bottle/internal/strictyaml"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// Preset is a named set of routes.
type Preset struct {
	Name string
	// Doc is one line on what it opens.
	Doc string
	// Routes may name a host more than once: what may be written to is less
	// than what may be read.
	Routes []routes.Route
}

// All returns every preset, in the order in which they are shown.
func All() []Preset {
	return []Preset{anthropic(), openai(), github(), npm(), pypi(), golang(), debian()}
}

// Lookup returns the preset of this name.
func Lookup(name string) (Preset, error) {
	var names []string
	for _, p := range All() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	if near := strictyaml.Closest(name, names); near != "" {
		return Preset{}, fmt.Errorf("unknown preset %.40q; did you mean %q?", name, near)
	}
	return Preset{}, fmt.Errorf("unknown preset %.40q; there are %s", name, strings.Join(names, ", "))
}

// read are the methods by which nothing is written.
var read = []string{"GET", "HEAD"}

// reads is a route for reading. Answers are checked by those who ask, and too
// large or too binary to be inspected a second time.
func reads(host string, paths ...string) routes.Route {
	return routes.Route{Host: host, Methods: read, Paths: paths, Pipelock: routes.Passthrough}
}

// posts is a route to calls of an API whose answers are streams.
func posts(host string, paths ...string) routes.Route {
	return routes.Route{Host: host, Methods: []string{"POST"}, Paths: paths, Pipelock: routes.Passthrough}
}
