package preset

import "github.com/claude-bottle/claude-bottle/roles/egress/routes"

func npm() Preset {
	registry := reads("registry.npmjs.org")
	registry.EncodedSlash = true // a package in a scope is asked for as /@scope%2fname
	return Preset{
		Name:   "npm",
		Doc:    "installing from npm's registry",
		Routes: []routes.Route{registry},
	}
}

func pypi() Preset {
	return Preset{
		Name: "pypi",
		Doc:  "installing from the Python package index",
		Routes: []routes.Route{
			reads("pypi.org", "/simple", "/pypi"),
			reads("files.pythonhosted.org", "/packages"),
		},
	}
}

func golang() Preset {
	return Preset{
		Name: "golang",
		Doc:  "Go modules and toolchains from the public proxy, checked with the public checksum database",
		Routes: []routes.Route{
			reads("proxy.golang.org"),
			reads("sum.golang.org"),
		},
	}
}

func debian() Preset {
	return Preset{
		Name: "debian",
		Doc:  "Debian packages, also over plain HTTP: apt checks signatures itself",
		Routes: []routes.Route{
			archive("deb.debian.org", "/debian", "/debian-security", "/debian-debug"),
			archive("security.debian.org", "/debian-security"),
		},
	}
}

// archive is a route to a package archive, which is asked over plain HTTP too.
func archive(host string, paths ...string) routes.Route {
	r := reads(host, paths...)
	r.Ports = []uint16{80, 443}
	return r
}
