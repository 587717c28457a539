package control

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/net/idna"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// Review is a proposal as an operator has to see it before deciding.
type Review struct {
	proposal.Entry
	Parsed proposal.Rule
	// Route is what approving adds to the routes, without the terms; nil for
	// kinds that add none.
	Route *routes.Route
	// Finding is what approving clears; nil for kinds that clear none.
	Finding *routes.Finding
	// Host is the host that the rule names, in the form that is compared, and
	// Unicode, where it differs, as it would be shown. Both are empty for kinds
	// without.
	Host, Unicode string
	// Diff is the difference that approving would make to routes.yaml, unified;
	// empty for kinds that change nothing, and for what is answered.
	Diff string
	// Live are the routes in force; nil for kinds that change none.
	Live *routes.Table
}

// changesRoutes tells whether approving a proposal of this kind changes the
// routes; the others are answers alone.
func changesRoutes(kind proposal.Kind) bool {
	return kind != proposal.CapabilityBlock && kind != proposal.GitPush
}

// Review reads a proposal, answered or not, against the live routes.
func (o *Operator) Review(ctx context.Context, id string) (Review, error) {
	q, err := o.queue()
	if err != nil {
		return Review{}, err
	}
	defer q.Close()
	e, err := q.Get(id)
	if err != nil {
		return Review{}, err
	}
	r := Review{Entry: e}
	if !changesRoutes(e.Kind) {
		return r, r.fill(nil)
	}
	l, err := o.read(ctx)
	if err != nil {
		return Review{}, err
	}
	r.Live = l.table
	if err := r.fill(l.table); err != nil {
		return Review{}, err
	}
	if e.Response == nil {
		edited, err := r.edit(l.Routes)
		if err != nil {
			return Review{}, err
		}
		r.Diff = unified(l.Routes, edited)
	}
	return r, nil
}

// fill reads the rule and finds out what it would change.
func (r *Review) fill(inForce *routes.Table) (err error) {
	if r.Parsed, err = proposal.ParseRule(r.Kind, r.Rule); err != nil {
		return err
	}
	switch rule := r.Parsed.(type) {
	case *proposal.EgressRule:
		r.Host = rule.Host
		r.Route = routeFor(rule)
		r.Route.Pipelock = inspection(inForce, rule.Host)
	case *proposal.PipelockRule:
		r.Host = rule.Host
		r.Route = &routes.Route{Host: rule.Host, Pipelock: inspection(inForce, rule.Host)}
	case *proposal.FindingRule:
		r.Host = rule.Host
		r.Finding = &routes.Finding{Rule: rule.Rule, Fingerprint: rule.Fingerprint}
	}
	r.Unicode = unicodeName(r.Host)
	return nil
}

// routeFor is a rule as a route. What the rule leaves out, the route does too.
func routeFor(rule *proposal.EgressRule) *routes.Route {
	return &routes.Route{
		Host:    rule.Host,
		Methods: append([]string(nil), rule.Methods...),
		Paths:   append([]string(nil), rule.Paths...),
	}
}

// edit applies what the review says to a routes file.
func (r *Review) edit(src []byte) ([]byte, error) {
	switch {
	case r.Route != nil:
		route := *r.Route
		route.Grant = r.ID
		return routes.Append(src, route)
	case r.Finding != nil:
		return routes.AddFinding(src, r.Host, *r.Finding)
	}
	return src, nil
}

// inspection is what a new route of a host says about the firewall: a host that
// it passes through already stays so, because it knows no exceptions.
func inspection(table *routes.Table, host string) string {
	for _, r := range table.Routes() {
		if r.Pipelock == routes.Passthrough && covers(r.Host, host) {
			return routes.Passthrough
		}
	}
	return ""
}

// covers tells whether a route's host or pattern stands for a host.
func covers(pattern, host string) bool {
	if pattern == host {
		return true
	}
	name, err := canon.ParseHost(host)
	if err != nil {
		return false
	}
	table, err := routes.New([]routes.Route{{Host: pattern}})
	if err != nil {
		return false
	}
	return table.Authority(canon.Authority{Host: name, Port: 443}, false, zeroTime, nil).Allow
}

// Summary says in one line what a proposal asks for, without the agent's words
// about it. A rule that cannot be read is said to be so.
func Summary(p proposal.Proposal) string {
	rule, err := proposal.ParseRule(p.Kind, p.Rule)
	if err != nil {
		return "unreadable rule"
	}
	switch rule := rule.(type) {
	case *proposal.EgressRule:
		return describe(*routeFor(rule)) + beside(rule.Host)
	case *proposal.PipelockRule:
		return rule.Host + beside(rule.Host)
	case *proposal.FindingRule:
		return fmt.Sprintf("let %s pass to %s%s", rule.Rule, rule.Host, beside(rule.Host))
	case *proposal.PushRule:
		if rule.Rule != "" {
			return fmt.Sprintf("push to %s in spite of %s", rule.Repository, rule.Rule)
		}
		return fmt.Sprintf("push of CI files to %s: %s at %.12s", rule.Repository, rule.Ref, rule.Commit)
	case *proposal.CapabilityRule:
		return "a change in words"
	}
	return string(p.Kind)
}

func beside(host string) string {
	if shown := unicodeName(host); shown != "" {
		return " (shown as " + shown + ")"
	}
	return ""
}

// unicodeName is a host with its A-labels shown; empty when it has none.
func unicodeName(host string) string {
	shown, err := idna.Display.ToUnicode(host)
	if err != nil || shown == host {
		return ""
	}
	return proposal.Clean(shown, 253)
}

// describe says in one line what a route opens.
func describe(r routes.Route) string {
	words := []string{r.Host}
	if len(r.Ports) > 0 && (len(r.Ports) > 1 || r.Ports[0] != 443) {
		words = append(words, "ports", strings.Trim(fmt.Sprint(r.Ports), "[]"))
	}
	if len(r.Methods) > 0 {
		words = append(words, strings.Join(r.Methods, ","))
	}
	if len(r.Paths) > 0 {
		words = append(words, "under", strings.Join(r.Paths, ","))
	}
	return strings.Join(words, " ")
}
