package plan

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/claude-bottle/claude-bottle/manifest"
	"github.com/claude-bottle/claude-bottle/preset"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// expandRoutes makes the route table: the bottle's own routes first, then those
// of its presets for hosts that the bottle does not name itself. What the
// bottle's route leaves out about a preset's host it takes from the preset, so
// that {host, auth} adds a credential and opens nothing more.
func expandRoutes(bottle *manifest.Bottle, credentials *credentials) (*routes.Table, error) {
	var presets []routes.Route
	for i, name := range bottle.Presets {
		p, err := preset.Lookup(name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(bottle.Presets[:i], name) {
			presets = append(presets, p.Routes...)
		}
	}
	own := make(map[string]bool)
	var all []routes.Route
	for i := range bottle.Routes {
		r := &bottle.Routes[i]
		tokenEnv := ""
		if r.Auth != nil {
			tokenEnv = credentials.name(r.Auth.TokenRef, r.Where, "egress")
		}
		own[hostKey(r.Host)] = true
		all = append(all, complete(r.Rendered(tokenEnv), presets)...)
	}
	for _, r := range presets {
		if !own[hostKey(r.Host)] {
			all = append(all, r)
		}
	}
	table, err := routes.New(all)
	if err != nil {
		return nil, fmt.Errorf("bottle %s: %w", bottle.Name, err)
	}
	return table, nil
}

// complete returns the bottle's route once for each preset's route to its host,
// with what it leaves out taken from that.
func complete(r routes.Route, presets []routes.Route) []routes.Route {
	var all []routes.Route
	for _, p := range presets {
		if hostKey(p.Host) != hostKey(r.Host) {
			continue
		}
		filled := inherit(r, p)
		if !slices.ContainsFunc(all, func(other routes.Route) bool { return reflect.DeepEqual(other, filled) }) {
			all = append(all, filled)
		}
	}
	if all == nil {
		return []routes.Route{r}
	}
	return all
}

// inherit takes what r leaves out from the preset's route.
func inherit(r, p routes.Route) routes.Route {
	if r.Ports == nil && r.Auth == nil { // a credential goes to the default port only
		r.Ports = p.Ports
	}
	if r.Methods == nil {
		r.Methods = p.Methods
	}
	if r.Paths == nil && r.PathAllowlist == nil {
		r.Paths = p.Paths
	}
	r.EncodedSlash = r.EncodedSlash || p.EncodedSlash
	if r.Git == (routes.Git{}) {
		r.Git = p.Git
	}
	if r.Pipelock == "" {
		r.Pipelock = p.Pipelock
	}
	return r
}

// hostKey is what two routes' hosts are compared by.
func hostKey(text string) string {
	if pattern, err := routes.ParsePattern(text); err == nil {
		return pattern
	}
	return text
}
