// Package preset has named sets of routes for what most bottles need. A preset
// never carries a credential: a bottle that has one names the host again in a
// route of its own. That route replaces the preset's and takes from it what it
// leaves out, so {host, auth} adds a credential and opens nothing more.
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
	Doc    string
	Routes []routes.Route
}

// read are the methods of a registry that only gives.
var read = []string{"GET", "HEAD"}

// fetch is a route to a host that only gives, too large or too binary to be
// inspected a second time.
func fetch(host string) routes.Route {
	return routes.Route{Host: host, Methods: read, Pipelock: "passthrough"}
}

// All returns every preset, in the order in which they are shown.
func All() []Preset {
	return []Preset{{
		Name: "anthropic",
		Doc:  "Claude's API: api.anthropic.com, GET and POST below /v1 and /api",
		Routes: []routes.Route{
			{Host: "api.anthropic.com", Methods: []string{"GET", "HEAD", "POST"}, Paths: []string{"/v1", "/api"}, Pipelock: "passthrough"},
		},
	}, {
		Name: "openai",
		Doc:  "OpenAI's API: api.openai.com, GET and POST below /v1",
		Routes: []routes.Route{
			{Host: "api.openai.com", Methods: []string{"GET", "HEAD", "POST"}, Paths: []string{"/v1"}, Pipelock: "passthrough"},
		},
	}, {
		Name: "github",
		Doc:  "reading public GitHub: the REST API, raw files, archives and releases, git clone over HTTPS; no writes",
		Routes: []routes.Route{
			{Host: "api.github.com", Methods: read},
			{Host: "github.com", Methods: []string{"GET", "HEAD", "POST"}, Git: routes.Git{Fetch: true}, Pipelock: "passthrough"},
			fetch("raw.githubusercontent.com"),
			fetch("codeload.github.com"),
			fetch("objects.githubusercontent.com"),
			fetch("release-assets.githubusercontent.com"),
		},
	}, {
		Name: "npm",
		Doc:  "installing from registry.npmjs.org, GET and HEAD",
		Routes: []routes.Route{
			// npm asks for a package in a scope as /@scope%2fname.
			{Host: "registry.npmjs.org", Methods: read, EncodedSlash: true, Pipelock: "passthrough"},
		},
	}, {
		Name:   "pypi",
		Doc:    "installing from pypi.org and files.pythonhosted.org, GET and HEAD",
		Routes: []routes.Route{fetch("pypi.org"), fetch("files.pythonhosted.org")},
	}, {
		Name:   "golang",
		Doc:    "Go modules and toolchains from proxy.golang.org and sum.golang.org, GET and HEAD",
		Routes: []routes.Route{fetch("proxy.golang.org"), fetch("sum.golang.org")},
	}, {
		Name:   "debian",
		Doc:    "Debian packages from deb.debian.org and security.debian.org, GET and HEAD, also over plain HTTP",
		Routes: []routes.Route{archive("deb.debian.org"), archive("security.debian.org")},
	}}
}

// archive is a route to a package archive; apt checks signatures itself and
// asks over plain HTTP.
func archive(host string) routes.Route {
	r := fetch(host)
	r.Ports = []uint16{80, 443}
	return r
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
