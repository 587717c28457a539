package preset

import "github.com/claude-bottle/claude-bottle/roles/egress/routes"

// github opens reading. Pushes go through git-gate, whose repositories need no
// preset.
func github() Preset {
	site := reads("github.com")
	site.Git.Fetch = true
	return Preset{
		Name: "github",
		Doc:  "reading GitHub: pages, the REST API, raw files, archives, releases and git fetch over HTTPS",
		Routes: []routes.Route{
			site,
			{Host: "api.github.com", Methods: read},
			reads("raw.githubusercontent.com"),
			reads("codeload.github.com"),
			reads("objects.githubusercontent.com"),
			reads("release-assets.githubusercontent.com"),
		},
	}
}
