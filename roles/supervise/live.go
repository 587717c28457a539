package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// routeList is the answer of list-egress-routes.
type routeList struct {
	// Generation grows with every table in force.
	Generation int           `json:"generation"`
	Routes     []listedRoute `json:"routes"`
}

// listedRoute is what an agent may know of a route.
type listedRoute struct {
	Host    string     `json:"host"`
	Ports   []uint16   `json:"ports,omitempty" jsonschema:"absent means 443"`
	Methods []string   `json:"methods,omitempty" jsonschema:"absent means the default methods"`
	Paths   []string   `json:"paths,omitempty" jsonschema:"prefixes; absent means every path"`
	Expires *time.Time `json:"expires,omitempty"`
}

func (r *Role) listEgressRoutes(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	table, generation := r.c.Routes()
	if table == nil {
		return r.refusal(errors.New("the routes are not known here")), nil
	}
	list := routeList{Generation: generation, Routes: []listedRoute{}}
	for _, route := range table.Routes() {
		listed := listedRoute{Host: route.Host, Ports: route.Ports, Methods: route.Methods,
			Paths: append(route.Paths, route.PathAllowlist...)}
		if !route.Expires.IsZero() {
			listed.Expires = &route.Expires
		}
		list.Routes = append(list.Routes, listed)
	}
	text, err := json.Marshal(list)
	if err != nil {
		return r.refusal(err), nil
	}
	return mcp.NewToolResultStructured(list, string(text)), nil
}

// known is the answer to a request that needs no operator: for what can be
// reached already, and for what no route could ever say. Nil when it has to be
// asked.
func (r *Role) known(draft proposal.Draft) *mcp.CallToolResult {
	want := proposal.EgressRule{}
	hint := "the request can be made now"
	switch rule := draft.Rule.(type) {
	case *proposal.EgressRule:
		want = *rule
	case *proposal.PipelockRule:
		want.Host = rule.Host
		hint = "what stopped the request was not the list of hosts, but its content or the address it led to"
	}
	if _, err := routes.New([]routes.Route{{Host: want.Host, Methods: want.Methods, Paths: want.Paths}}); err != nil {
		return r.refusal(err)
	}
	table, generation := r.c.Routes()
	if table == nil {
		return nil
	}
	if !reachable(table, want) {
		return nil
	}
	return answered(Answer{proposal.Approved, "", fmt.Sprintf(
		"already allowed: %s is on the list in force (generation %d), %s", want.Host, generation, hint)})
}

// reachable reports whether every request that the rule would open is open.
func reachable(table *routes.Table, rule proposal.EgressRule) bool {
	host, err := canon.ParseHost(rule.Host)
	if err != nil {
		return false
	}
	methods, paths := rule.Methods, rule.Paths
	if len(methods) == 0 {
		methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
	}
	if len(paths) == 0 {
		paths = []string{"/"}
	}
	for _, method := range methods {
		for _, path := range paths {
			_, verdict := table.Decide(routes.Request{
				Authority: canon.Authority{Host: host, Port: 443}, Method: method, Path: canon.Path(path),
			}, time.Now(), nil)
			if !verdict.Allow {
				return false
			}
		}
	}
	return true
}
