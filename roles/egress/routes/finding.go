package routes

import (
	"fmt"
	"slices"

	yaml "go.yaml.in/yaml/v4"

	"github.com/claude-bottle/claude-bottle/canon"
)

// AddFinding returns src with one finding cleared for host, on every route
// that names the host, by itself or by a pattern: which of them decides
// depends on the request, and the fingerprint is for this host alone wherever
// it stands. The rest of the file stays as it is. A pattern, and a host that no
// route names, is an error; where nothing is to be added the bytes stay.
func AddFinding(src []byte, host string, f Finding) ([]byte, error) {
	name, err := canon.ParseHost(host)
	if err != nil {
		return nil, fmt.Errorf("a finding is cleared for one host: %w", err)
	}
	t, doc, err := parse(src)
	if err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	named := t.lookup(nil, name.String())
	if len(named) == 0 {
		return nil, fmt.Errorf("no route names the host %q: there is nothing to clear a finding on", name)
	}
	want, changed := t.Routes(), false
	for _, i := range named {
		if slices.Contains(want[i].Findings, f) {
			continue
		}
		want[i].Findings = append(want[i].Findings, f)
		appendFinding(routeNodes(doc)[i], f)
		changed = true
	}
	if !changed {
		return src, nil
	}
	return dump(doc, want)
}

// appendFinding adds a finding to a route's node.
func appendFinding(route *yaml.Node, f Finding) {
	text := func(s string) *yaml.Node {
		n := new(yaml.Node)
		n.SetString(s)
		return n
	}
	entry := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: yaml.FlowStyle, Content: []*yaml.Node{
		text("rule"), text(f.Rule), text("fingerprint"), text(f.Fingerprint),
	}}
	for i := 0; i+1 < len(route.Content); i += 2 {
		if route.Content[i].Value == "findings" {
			route.Content[i+1].Content = append(route.Content[i+1].Content, entry)
			return
		}
	}
	route.Content = append(route.Content, text("findings"), &yaml.Node{
		Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{entry},
	})
}
