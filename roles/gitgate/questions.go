package gitgate

import (
	"context"
	"fmt"
	"strings"

	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// clears tells whether the operator let a finding pass, and notes that this
// push makes use of it.
func (p *push) clears(f secretscan.Finding) bool {
	if !p.cleared.clears(p.repo.name)(f) {
		return false
	}
	p.uses[proposal.PushRule{Repository: p.repo.name, Rule: f.Rule, Fingerprint: f.Fingerprint}] = true
	return true
}

// secretQuestions asks whether what was found is harmless.
func (p *push) secretQuestions(ctx context.Context, finds []found) []question {
	var questions []question
	for i, words := range wordsFor(ctx, finds, p.pack, p.request.format, p.scanner) {
		questions = append(questions, question{
			rule:  proposal.PushRule{Repository: p.repo.name, Rule: finds[i].rule, Fingerprint: finds[i].fingerprint},
			shown: policy.Secret,
			words: words,
		})
	}
	return questions
}

// ciQuestions asks about each reference whose new commit changes what a forge
// runs, unless exactly that is approved.
func (p *push) ciQuestions(ctx context.Context, o *objects) []question {
	var questions []question
	for _, c := range p.request.commands {
		changed := o.ciChanges(ctx, c)
		if len(changed) == 0 {
			continue
		}
		rule := proposal.PushRule{Repository: p.repo.name, Ref: c.ref, Commit: c.new.String()}
		if _, ok := p.cleared[rule]; ok && p.repo.rules.CIPaths == "ask" {
			p.uses[rule] = true
			continue
		}
		for i, path := range changed {
			changed[i] = p.shown(path)
		}
		questions = append(questions, question{
			rule:  rule,
			shown: ruleCI,
			words: fmt.Sprintf("%s: %s of %s changes %s", ruleCI, short(c.new), p.shown(c.ref), strings.Join(changed, ", ")),
		})
	}
	return questions
}

func asRefusals(questions []question) []refusal {
	var refused []refusal
	for _, q := range questions {
		refused = append(refused, refusal{q.shown, q.words})
	}
	return refused
}
