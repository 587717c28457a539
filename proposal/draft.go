package proposal

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Draft is a proposal before it is filed.
type Draft struct {
	Kind Kind
	// Justification is the agent's reason, or the role's own words for a
	// finding or a push.
	Justification string
	// Request is what was asked, as it was asked; it is marshalled as JSON.
	Request any
	Rule    Rule
}

// AskEgress drafts an egress-block proposal. No methods and no paths mean a
// route's defaults.
func AskEgress(host string, methods, paths []string, justification string) (Draft, error) {
	return agentDraft(EgressBlock, justification,
		EgressRule{Host: host, Methods: methods, Paths: paths},
		&EgressRule{Host: host, Methods: methods, Paths: paths})
}

// AskPipelock drafts a pipelock-block proposal for the host of a URL that was
// refused. The URL's query and fragment are not kept.
func AskPipelock(failedURL, justification string) (Draft, error) {
	u, host, err := hostOfURL(failedURL)
	if err != nil {
		return Draft{}, err
	}
	shown := "https://" + host + u.EscapedPath()
	return agentDraft(PipelockBlock, justification,
		map[string]string{"failed_url": shown}, &PipelockRule{Host: host})
}

// AskCapability drafts a capability-block proposal.
func AskCapability(change, justification string) (Draft, error) {
	return agentDraft(CapabilityBlock, justification,
		map[string]string{"change": change}, &CapabilityRule{Change: change})
}

func agentDraft(kind Kind, justification string, request any, rule Rule) (Draft, error) {
	if Clean(justification, maxJustification) == "" {
		return Draft{}, errors.New("justification is empty: tell the operator what you need this for")
	}
	if err := rule.normal(); err != nil {
		return Draft{}, err
	}
	return Draft{Kind: kind, Justification: justification, Request: request, Rule: rule}, nil
}

// AskFinding drafts a finding proposal; words say where the secret was found,
// never the secret.
func AskFinding(rule FindingRule, words string) (Draft, error) {
	return agentDraft(FindingKind, words, rule, &rule)
}

// AskPush drafts a git-push proposal; words say what was found in the push.
func AskPush(rule PushRule, words string) (Draft, error) {
	return agentDraft(GitPush, words, rule, &rule)
}

const (
	maxJustification = 2000
	maxShown         = 2048
)

// proposal makes d whole: cleaned, redacted, with id and review.
func (d Draft) proposal(slug string, now time.Time, redact func(string) string) (Proposal, error) {
	rule, err := canonicalJSON(d.Rule)
	if err != nil {
		return Proposal{}, err
	}
	if redact(string(rule)) != string(rule) {
		return Proposal{}, errors.New("the request holds a secret: ask again without it")
	}
	if _, err := ParseRule(d.Kind, rule); err != nil {
		return Proposal{}, err
	}
	request, err := tidy(d.Request, redact)
	if err != nil {
		return Proposal{}, err
	}
	p := Proposal{
		ID: newID(now), Kind: d.Kind, Slug: slug, Created: now.UTC().Truncate(time.Millisecond),
		Justification: Clean(redact(d.Justification), maxJustification),
		Request:       request, Rule: rule,
	}
	p.Review, err = review(p.Kind, p.Slug, p.Rule, p.Justification)
	return p, err
}

// tidy returns v as JSON with every string in it redacted and cleaned.
func tidy(v any, redact func(string) string) (json.RawMessage, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	var tree any
	if err := json.Unmarshal(plain, &tree); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	return canonicalJSON(mapStrings(tree, func(s string) string { return Clean(redact(s), maxShown) }))
}

func mapStrings(tree any, f func(string) string) any {
	switch t := tree.(type) {
	case string:
		return f(t)
	case []any:
		for i := range t {
			t[i] = mapStrings(t[i], f)
		}
	case map[string]any:
		clean := make(map[string]any, len(t))
		for k, v := range t {
			clean[f(k)] = mapStrings(v, f)
		}
		return clean
	}
	return tree
}
