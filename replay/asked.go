package replay

import (
	"encoding/json"
	"net/url"
	"slices"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/proposal"
)

// Asked is what an agent named when it asked for a route. The zero Asked names
// nothing.
type Asked struct {
	Host    string
	Methods []string
	// Paths are whole-segment prefixes; the agent named what lies under them.
	Paths []canon.Path
}

// AskedBy is what a proposal names: of an egress-block its host, methods and
// paths, of a pipelock-block the host and the path of the URL that failed.
// Other kinds name nothing. The proposal must have been verified.
func AskedBy(p proposal.Proposal) Asked {
	rule, err := proposal.ParseRule(p.Kind, p.Rule)
	if err != nil {
		return Asked{}
	}
	switch r := rule.(type) {
	case *proposal.EgressRule:
		asked := Asked{Host: r.Host, Methods: r.Methods}
		for _, text := range r.Paths {
			asked.add(text)
		}
		return asked
	case *proposal.PipelockRule:
		asked := Asked{Host: r.Host}
		var request struct {
			FailedURL string `json:"failed_url"`
		}
		if json.Unmarshal(p.Request, &request) == nil {
			if u, err := url.Parse(request.FailedURL); err == nil {
				asked.add(u.EscapedPath())
			}
		}
		return asked
	}
	return Asked{}
}

func (a *Asked) add(path string) {
	if p, err := canon.ParsePath(path); err == nil {
		a.Paths = append(a.Paths, p)
	}
}

// names reports whether the agent named the refused request: its host, a
// method that it wrote or, where it wrote none, one that only reads, and a
// path under one that it wrote. A connection is named by its host.
func (a Asked) names(r Refusal) bool {
	if a.Host == "" || r.Host != a.Host {
		return false
	}
	if r.Connection() {
		return true
	}
	if len(a.Methods) == 0 && !reads(r.Method) || len(a.Methods) > 0 && !slices.Contains(a.Methods, r.Method) {
		return false
	}
	path, err := canon.ParsePath(r.Path)
	return err == nil && slices.ContainsFunc(a.Paths, path.Under)
}

func reads(method string) bool { return method == "GET" || method == "HEAD" || method == "OPTIONS" }
