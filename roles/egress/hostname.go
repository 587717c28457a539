package egress

import (
	"strings"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// scanHost scans the labels that a pattern leaves to the agent, before
// anything is looked up. spelled is the host as the agent wrote it: a name has
// no case, a secret has.
func (l *live) scanHost(host canon.Host, spelled string, about policy.Decision) *policy.Decision {
	f := l.secretLabels(host, spelled)
	if f == nil {
		return nil
	}
	about.Host = "[redacted]"
	d := blocked(policy.Secret, about, f.Error(), remedySecret)
	return &d
}

// secretLabels scans what is free of a name, as it will be looked up and as it
// was written.
func (l *live) secretLabels(host canon.Host, spelled string) *secretscan.Finding {
	name := host.String()
	for _, free := range l.table.FreeLabels(host) {
		canonical := firstLabels(name, free)
		seen := make(map[string]bool)
		for _, text := range []string{canonical, firstLabels(spelled, free)} {
			for _, form := range labelForms(text) {
				if seen[form] {
					continue
				}
				seen[form] = true
				if f := l.role.Scanner.Name("host name", form); f != nil {
					return f
				}
			}
		}
	}
	return nil
}

// labelForms are the ways in which labels can carry a text: as they stand, one
// by one, and one text that was cut at any place or at its own separators.
func labelForms(labels string) []string {
	forms := []string{labels}
	if !strings.Contains(labels, ".") {
		return forms
	}
	for _, separator := range []string{"", "-", "_"} {
		forms = append(forms, strings.ReplaceAll(labels, ".", separator))
	}
	for label := range strings.SplitSeq(labels, ".") {
		if len(label) >= shortestName {
			forms = append(forms, label)
		}
	}
	return forms
}

// firstLabels is the first n labels of a name.
func firstLabels(name string, n int) string {
	at := 0
	for range n {
		next := strings.IndexByte(name[at:], '.')
		if next < 0 {
			return name
		}
		at += next + 1
	}
	return name[:max(0, at-1)]
}

// scanSpelling scans the names of a request inside a tunnel: they are those of
// CONNECT, which was scanned, but they may be spelled in another way.
func (x *exchange) scanSpelling() *policy.Decision {
	t := x.tunnel
	if t == nil {
		return nil
	}
	for _, spelled := range append([]string{t.sni, x.in.Host}, x.in.Header["Host"]...) {
		if spelled == "" || spelled == t.host {
			continue
		}
		if d := x.live.scanHost(x.authority.Host, bareHost(spelled), x.about()); d != nil {
			return d
		}
	}
	return nil
}
