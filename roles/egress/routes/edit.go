package routes

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// AddHosts returns src with a default route for each host that no lasting
// route names yet; comments and order of the rest stay. A host may be a
// pattern.
func AddHosts(src []byte, hosts ...string) ([]byte, error) {
	t, hosts, err := parseFor(src, hosts)
	if err != nil {
		return nil, err
	}
	var add []Route
	for _, host := range hosts {
		if !slices.ContainsFunc(t.rules, func(r rule) bool { return r.Host == host && r.Grant == "" }) {
			add = append(add, Route{Host: host})
		}
	}
	return rewrite(src, nil, add)
}

// RemoveHosts returns src without the routes of the hosts, grants included.
// A host without route is an error.
func RemoveHosts(src []byte, hosts ...string) ([]byte, error) {
	t, hosts, err := parseFor(src, hosts)
	if err != nil {
		return nil, err
	}
	known := t.Hosts()
	for _, host := range hosts {
		if !slices.Contains(known, host) {
			return nil, fmt.Errorf("no route names the host %q: nothing to remove", host)
		}
	}
	return rewrite(src, func(r Route) bool { return slices.Contains(hosts, r.Host) }, nil)
}

// SetHosts makes hosts the host column: routes of other hosts go, a default
// route for each new one is appended, the rest stays as it is.
func SetHosts(src []byte, hosts []string) ([]byte, error) {
	t, hosts, err := parseFor(src, hosts)
	if err != nil {
		return nil, err
	}
	known := t.Hosts()
	var add []Route
	for _, host := range hosts {
		if !slices.Contains(known, host) {
			add = append(add, Route{Host: host})
		}
	}
	return rewrite(src, func(r Route) bool { return !slices.Contains(hosts, r.Host) }, add)
}

// parseFor reads the file and the hosts that an edit is about.
func parseFor(src []byte, hosts []string) (*Table, []string, error) {
	hosts, err := canonical(hosts)
	if err != nil {
		return nil, nil, err
	}
	t, err := Parse(src)
	return t, hosts, err
}

// Append returns src with one more route at its end.
func Append(src []byte, r Route) ([]byte, error) { return rewrite(src, nil, []Route{r}) }

// RemoveGrant returns src without the routes of one grant. A grant without
// route is an error.
func RemoveGrant(src []byte, grant string) ([]byte, error) {
	t, err := Parse(src)
	if err != nil {
		return nil, err
	}
	of := func(r Route) bool { return r.Grant == grant }
	if grant == "" || !slices.ContainsFunc(t.Routes(), of) {
		return nil, fmt.Errorf("no route belongs to the grant %q: nothing to remove", grant)
	}
	return rewrite(src, of, nil)
}

// canonical returns each host once, in its normal form.
func canonical(hosts []string) ([]string, error) {
	var all []string
	for _, text := range hosts {
		host, err := ParsePattern(text)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(all, host) {
			all = append(all, host)
		}
	}
	return all, nil
}

// rewrite removes and adds routes, and proves the result by reading it back.
// Without a change the bytes stay as they are.
func rewrite(src []byte, remove func(Route) bool, add []Route) ([]byte, error) {
	t, doc, err := parse(src)
	if err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	var gone []int
	var want []Route
	for i, r := range t.Routes() {
		if remove != nil && remove(r) {
			gone = append(gone, i)
		} else {
			want = append(want, r)
		}
	}
	if len(gone) == 0 && len(add) == 0 {
		return src, nil
	}
	added, err := New(add)
	if err != nil {
		return nil, err
	}
	list, doc, err := routeList(src, doc)
	if err != nil {
		return nil, err
	}
	for _, i := range slices.Backward(gone) {
		dropNode(list, i)
	}
	if len(add) > 0 {
		var fresh yaml.Node
		if err := yaml.Load(added.Render(), &fresh); err != nil {
			return nil, err
		}
		list.Content = append(list.Content, routeNodes(&fresh)...)
	}
	list.Style &^= yaml.FlowStyle
	if len(list.Content) == 0 {
		list.Style |= yaml.FlowStyle
	}
	return dump(doc, append(want, added.Routes()...))
}

// dump writes an edited file and proves that it holds the wanted routes.
func dump(doc *yaml.Node, want []Route) ([]byte, error) {
	out, err := yaml.Dump(doc, yaml.WithIndent(2))
	if err != nil {
		return nil, err
	}
	if err := confirm(out, want); err != nil {
		return nil, err
	}
	return out, nil
}

// confirm reads an edited file back.
func confirm(out []byte, want []Route) error {
	t, err := Parse(out)
	if err != nil {
		return fmt.Errorf("the edited file would not be valid: %w", err)
	}
	if got := t.Routes(); len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
		return errors.New("the routes file is written in a way that cannot be edited: edit it by hand")
	}
	return nil
}

// routeList returns the node of the list of routes, making it where the file
// has none yet.
func routeList(src []byte, doc *yaml.Node) (list, whole *yaml.Node, err error) {
	if doc == nil || doc.Content[0].Tag == "!!null" {
		text := append(bytes.TrimRight(commentsOf(src), "\n"), "\nroutes: []\n"...)
		doc = new(yaml.Node)
		if err := yaml.Load(text, doc); err != nil {
			return nil, nil, err
		}
	}
	top := doc.Content[0]
	for i := 0; i+1 < len(top.Content); i += 2 {
		if key, value := top.Content[i], top.Content[i+1]; key.Value == "routes" {
			// A block list has no place for a comment behind it.
			key.HeadComment, value.LineComment = join(key.HeadComment, value.LineComment), ""
			if value.Kind != yaml.SequenceNode {
				value.Kind, value.Tag, value.Value, value.Style = yaml.SequenceNode, "!!seq", "", 0
			}
			return value, doc, nil
		}
	}
	top.Style &^= yaml.FlowStyle
	value := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	top.Content = append(top.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "routes"}, value)
	return value, doc, nil
}

// commentsOf keeps the comments of a file that holds nothing else of worth.
func commentsOf(src []byte) []byte {
	var kept []byte
	for line := range bytes.Lines(src) {
		if text := bytes.TrimSpace(line); len(text) == 0 || text[0] == '#' {
			kept = append(append(kept, text...), '\n')
		}
	}
	return kept
}

// dropNode removes an item; of its comments only the paragraph right above it
// and those inside are its own, the rest moves to a neighbour.
func dropNode(list *yaml.Node, i int) {
	gone := list.Content[i]
	kept := gone.FootComment
	if end := strings.LastIndex(gone.HeadComment, "\n\n"); end >= 0 {
		kept = join(gone.HeadComment[:end], kept)
	}
	list.Content = slices.Delete(list.Content, i, i+1)
	switch {
	case kept == "":
	case i < len(list.Content):
		list.Content[i].HeadComment = join(kept, list.Content[i].HeadComment)
	case i > 0:
		list.Content[i-1].FootComment = join(list.Content[i-1].FootComment, kept)
	default:
		list.FootComment = join(list.FootComment, kept)
	}
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "\n\n" + b
}
