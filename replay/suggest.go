package replay

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// Suggestion is the smallest set of routes found for what was refused.
type Suggestion struct {
	Rules []Suggested
	// LeftOut are the hosts that no rule is suggested for, and why.
	LeftOut []LeftOut
}

// Suggested is one route and what it is good for.
type Suggested struct {
	Route routes.Route
	// Covers is how many refusals it would have let through, Connections how
	// many of those were connections: what is asked in them is not known, so
	// the route only reads.
	Covers, Connections uint64
}

// LeftOut is a host whose refusals no rule of a suggestion covers.
type LeftOut struct {
	Host string `json:"host"`
	// Refusals is how many.
	Refusals uint64 `json:"refusals"`
	Why      string `json:"why"`
}

// place is one server as a route names it.
type place struct {
	host  string
	port  uint16
	plain bool
}

// Suggest finds routes for the refusals that the table refuses still. It
// suggests no wildcard, no IP literal, and nothing for a host to which a
// request was refused for a secret, its address or its form: those are for a
// person to think about.
func Suggest(refusals []Refusal, inForce *routes.Table, now time.Time, spent routes.Spent) Suggestion {
	hosts := make(map[string][]Refusal)
	for _, r := range refusals {
		hosts[r.Host] = append(hosts[r.Host], r)
	}
	var s Suggestion
	for _, host := range sortedKeys(hosts) {
		all := hosts[host]
		open := slices.DeleteFunc(slices.Clone(all), func(r Refusal) bool {
			_, passes := r.decide(inForce, now, spent)
			return passes
		})
		if len(open) == 0 {
			continue
		}
		if why := unfit(host, all); why != "" {
			s.LeftOut = append(s.LeftOut, LeftOut{host, Count(open), why})
			continue
		}
		rules := rulesFor(host, open, now)
		rest := open
		for _, route := range rules {
			var one Suggested
			one, rest = cover(route, rest, now)
			if one.Covers > 0 {
				s.Rules = append(s.Rules, one)
			}
		}
		if len(rest) > 0 {
			s.LeftOut = append(s.LeftOut, LeftOut{host, Count(rest), "no plain route opens them: " + rulesOf(rest)})
		}
	}
	slices.SortStableFunc(s.Rules, func(a, b Suggested) int { return cmp.Compare(b.Covers, a.Covers) })
	return s
}

// unfit says why a host is left out; "" = it is not.
func unfit(host string, all []Refusal) string {
	parsed, err := canon.ParseHost(host)
	if err != nil || parsed.String() != host {
		return "no host name"
	}
	if _, literal := parsed.IP(); literal {
		return "an address, not a name"
	}
	if !strings.Contains(host, ".") {
		return "no name of the public internet"
	}
	for _, r := range all {
		switch r.Rule {
		case policy.Secret:
			return "a request to it held a secret"
		case policy.Address:
			return "its address is not public"
		case policy.Malformed:
			return "a request to it was malformed"
		}
	}
	return ""
}

// rulesFor finds the routes for one host: one for what only reads and one for
// what may write, of each port.
func rulesFor(host string, refusals []Refusal, now time.Time) []routes.Route {
	requests := make(map[place][]Refusal)
	connections := make(map[place]bool)
	for _, r := range refusals {
		at := place{host, r.port(), r.Plain}
		switch {
		case r.Connection():
			connections[at] = true
		case r.Method != "" && at.opens(r, now):
			requests[at] = append(requests[at], r)
		}
	}
	var found []routes.Route
	for at, rs := range requests {
		found = append(found, at.routes(rs)...)
	}
	for at := range connections {
		if len(requests[at]) == 0 {
			found = append(found, at.route([]string{"GET", "HEAD"}, nil))
		}
	}
	slices.SortFunc(found, func(a, b routes.Route) int {
		return cmp.Or(slices.Compare(a.Ports, b.Ports), slices.Compare(a.Methods, b.Methods))
	})
	return found
}

// opens reports whether a plain route for nothing else opens what was refused.
// One for git, WebSocket or encoded slashes is not for a program to suggest.
func (at place) opens(r Refusal, now time.Time) bool {
	if r.WebSocket || r.Rule == policy.GitWrite {
		return false
	}
	_, rest := cover(at.route([]string{r.Method}, []string{r.Path}), []Refusal{r}, now)
	return len(rest) == 0
}

// routes are those for the requests refused at one place. What writes gets a
// route of its own, so that no method is opened for a path that only another
// method was refused for.
func (at place) routes(refusals []Refusal) []routes.Route {
	var found []routes.Route
	for _, writing := range []bool{false, true} {
		methods := make(map[string]bool)
		paths := make(map[canon.Path]bool)
		for _, r := range refusals {
			if reads(r.Method) == writing {
				continue
			}
			path, err := canon.ParsePath(r.Path)
			if err != nil {
				continue
			}
			methods[r.Method] = true
			paths[path] = true
		}
		if len(paths) == 0 {
			continue
		}
		prefixes := template(sortedKeys(paths), writing)
		switch {
		case len(prefixes) == 0:
			continue
		case len(prefixes) > maxPaths && writing:
			continue // so many are no pattern, and all of the host is too much
		case len(prefixes) > maxPaths:
			prefixes = nil
		}
		found = append(found, at.route(sortedKeys(methods), prefixes))
	}
	return found
}

// maxPaths bounds the paths of one suggested route; where more only read, the
// whole host is suggested.
const maxPaths = 64

func (at place) route(methods, paths []string) routes.Route {
	r := routes.Route{Host: at.host, Methods: methods, Paths: paths}
	if at.port != 443 {
		r.Ports = []uint16{at.port}
	}
	return r
}

// cover tells what a route covers on its own, and what is left. A route that
// is not valid covers nothing.
func cover(route routes.Route, refusals []Refusal, now time.Time) (one Suggested, rest []Refusal) {
	table, err := routes.New([]routes.Route{route})
	if err != nil {
		return one, refusals
	}
	one.Route = route
	for _, r := range refusals {
		if _, passes := r.decide(table, now, nil); !passes || r.Method == "" {
			rest = append(rest, r)
			continue
		}
		one.Covers += r.Count
		if r.Connection() {
			one.Connections += r.Count
		}
	}
	return one, rest
}

// rulesOf names the rules that refused, each once.
func rulesOf(refusals []Refusal) string {
	rules := make(map[string]bool)
	for _, r := range refusals {
		rules[string(r.Rule)] = true
	}
	return strings.Join(sortedKeys(rules), ", ")
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// compare gives refusals that are alike in time an order.
func compare(a, b Refusal) int {
	return cmp.Or(
		cmp.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Path, b.Path),
		cmp.Compare(a.Method, b.Method), cmp.Compare(a.Rule, b.Rule),
	)
}
