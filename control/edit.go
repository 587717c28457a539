package control

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// Hosts is the live allowlist: the host column of the routes in force, without
// hosts that only grants name which are over.
func (o *Operator) Hosts(ctx context.Context) ([]string, error) {
	l, err := o.read(ctx)
	if err != nil {
		return nil, err
	}
	spent, _ := o.spent() // what cannot be read is not over
	hosts := []string{}
	for _, r := range l.table.Routes() {
		if !o.ended(r, spent) && !slices.Contains(hosts, r.Host) {
			hosts = append(hosts, r.Host)
		}
	}
	return hosts, nil
}

// Routes is routes.yaml as it is live.
func (o *Operator) Routes(ctx context.Context) ([]byte, error) {
	src, err := o.bottle.ReadFile(ctx, o.routesName())
	if err != nil {
		return nil, fmt.Errorf("reading the live routes: %w", err)
	}
	return src, nil
}

// Allow adds a default route for each host or pattern that has no lasting one.
func (o *Operator) Allow(ctx context.Context, hosts ...string) (Outcome, error) {
	return o.change(ctx, "allow "+strings.Join(hosts, " "), func(l live) ([]byte, error) {
		return routes.AddHosts(l.Routes, hosts...)
	})
}

// Deny removes the routes of the hosts, grants included. A host that stays
// allowed by a pattern, or that no route names, is an error.
func (o *Operator) Deny(ctx context.Context, hosts ...string) (Outcome, error) {
	return o.change(ctx, "deny "+strings.Join(hosts, " "), func(l live) ([]byte, error) {
		return remove(l, hosts)
	})
}

func remove(l live, hosts []string) ([]byte, error) {
	gone := make([]string, 0, len(hosts))
	for _, text := range hosts {
		host, err := routes.ParsePattern(text)
		if err != nil {
			return nil, err
		}
		gone = append(gone, host)
	}
	for _, host := range gone {
		for _, other := range l.table.Hosts() {
			if other != host && !slices.Contains(gone, other) && covers(other, host) {
				return nil, fmt.Errorf("%s would stay allowed by the route for %s: deny that one", host, other)
			}
		}
	}
	return routes.RemoveHosts(l.Routes, gone...)
}

// EditHosts applies what an editor did to the list that Hosts gave: one host a
// line, with # comments. Changes that others made meanwhile stay. A list
// without any host changes nothing: it is what a failed editor leaves.
func (o *Operator) EditHosts(ctx context.Context, before []string, edited []byte) (Outcome, error) {
	wanted, err := routes.ParseHostList(edited)
	if err != nil {
		return Outcome{}, err
	}
	if len(wanted) == 0 {
		return Outcome{}, nil
	}
	missing := func(from []string) func(string) bool {
		return func(host string) bool { return slices.Contains(from, host) }
	}
	added := slices.DeleteFunc(slices.Clone(wanted), missing(before))
	removed := slices.DeleteFunc(slices.Clone(before), missing(wanted))
	if len(added)+len(removed) == 0 {
		return Outcome{}, nil
	}
	what := "allow --edit:" + marked(" +", added) + marked(" -", removed)
	return o.change(ctx, what, func(l live) ([]byte, error) {
		out, err := routes.AddHosts(l.Routes, added...)
		if err != nil {
			return nil, err
		}
		gone := slices.DeleteFunc(slices.Clone(removed), func(host string) bool { return !slices.Contains(l.table.Hosts(), host) })
		if len(gone) == 0 {
			return out, nil
		}
		return routes.RemoveHosts(out, gone...)
	})
}

func marked(mark string, hosts []string) string {
	var text strings.Builder
	for _, host := range hosts {
		text.WriteString(mark + host)
	}
	return text.String()
}

// SetRoutes puts an edited routes.yaml in force. before is what was edited; when
// it is not live any more, that is ErrChanged. It works on files that are not in
// force too, and so ends that state.
func (o *Operator) SetRoutes(ctx context.Context, before, edited []byte) (Outcome, error) {
	if _, err := routes.Parse(edited); err != nil {
		return Outcome{}, err
	}
	return o.changeFrom(ctx, o.readAny, "routes --edit", func(l live) ([]byte, error) {
		if !bytes.Equal(l.Routes, before) {
			return nil, ErrChanged
		}
		return edited, nil
	})
}

// change makes an edit of the operator's own.
func (o *Operator) change(ctx context.Context, what string, edit func(live) ([]byte, error)) (Outcome, error) {
	return o.changeFrom(ctx, o.read, what, edit)
}

func (o *Operator) changeFrom(ctx context.Context, read func(context.Context) (live, error), what string, edit func(live) ([]byte, error)) (Outcome, error) {
	unlock, err := o.lock(ctx)
	if err != nil {
		return Outcome{}, err
	}
	defer unlock()
	if _, err := o.recover(ctx); err != nil {
		return Outcome{}, err
	}
	l, err := read(ctx)
	if err != nil {
		return Outcome{}, err
	}
	edited, err := edit(l)
	if err != nil {
		return Outcome{}, err
	}
	if bytes.Equal(edited, l.Routes) && l.inForce() == nil {
		return Outcome{}, nil
	}
	j := &journal{What: what}
	if err := l.plan(j, edited); err != nil {
		return Outcome{}, err
	}
	report, err := o.commit(ctx, j, nil)
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Diff: unified(l.Routes, edited), Generation: report.Roles[egress].Generation}, nil
}
