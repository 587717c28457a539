package main

import (
	"fmt"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// queue is the folder of the proposal queue, "" where no operator is asked:
// the role is not here and nobody said where its queue is.
func (b *bundle) queue() string {
	if b.config.selected(superviseRole) || b.config.supervise.queueSet {
		return b.config.supervise.queue
	}
	return ""
}

// askAboutFindings returns what files a proposal to clear a finding that egress
// refused, and tells its id; nil where no operator is asked. A refusal stays
// one when the proposal cannot be filed.
func (b *bundle) askAboutFindings() (func(host string, f secretscan.Finding) string, error) {
	dir := b.queue()
	if dir == "" {
		return nil, nil
	}
	log := b.logger(egressRole)
	queue, err := proposal.Create(dir, proposal.Options{
		Slug:   b.config.slug,
		Redact: b.scanner.Redact,
		Filing: func(p proposal.Proposal) error {
			return b.audit.Append(audit.Record{Actor: egressRole, Action: "proposal", Decision: "filed",
				Detail: map[string]any{"proposal": p.ID, "kind": string(p.Kind), "rule": p.Rule, "review": p.Review}})
		},
		Report: func(err error) {
			log.Warn("a file in the queue was refused", "error", b.scanner.Redact(err.Error()))
		},
	})
	if err != nil {
		return nil, err
	}
	return func(host string, f secretscan.Finding) string {
		rule := proposal.FindingRule{Host: host, Rule: f.Rule, Fingerprint: f.Fingerprint}
		words := fmt.Sprintf("%s in %s, in a request to %s", f.Rule, f.Place, host)
		if f.Rule == secretscan.KnownSecret {
			words += ": it is one of the bottle's own secret values"
		}
		draft, err := proposal.AskFinding(rule, words)
		if err != nil {
			log.Warn("the operator is not asked about a finding", "error", b.scanner.Redact(err.Error()))
			return ""
		}
		p, _, err := queue.Add(draft)
		if err != nil {
			log.Warn("the operator is not asked about a finding", "error", b.scanner.Redact(err.Error()))
			return ""
		}
		return p.ID
	}, nil
}
