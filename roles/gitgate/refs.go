package gitgate

import (
	"context"
	"fmt"
	"strings"

	"github.com/claude-bottle/claude-bottle/internal/gitpack"
	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/roles/gitgate/config"
)

// Rules of the gate beside those of policy.
const (
	ruleRef        policy.Rule = "ref"
	ruleForce      policy.Rule = "force"
	ruleDelete     policy.Rule = "delete"
	rulePushOption policy.Rule = "push-option"
	ruleCI         policy.Rule = "ci-path"
	ruleLimit      policy.Rule = "limit"
	rulePending    policy.Rule = "pending"
	ruleRejected   policy.Rule = "rejected"
	ruleAudit      policy.Rule = "audit"
)

// refusal is one reason not to pass a push on.
type refusal struct {
	rule policy.Rule
	text string
}

// checkRefs asks what needs no history: names, deletions, options.
func checkRefs(rules config.Repo, request *pushRequest, shown func(string) string) []refusal {
	var refused []refusal
	for _, c := range request.commands {
		switch {
		case !rules.MayPush(c.ref):
			refused = append(refused, refusal{ruleRef, fmt.Sprintf("%s is not among the references that may be pushed here", shown(c.ref))})
		case c.deletes() && !rules.Delete:
			refused = append(refused, refusal{ruleDelete, fmt.Sprintf("%s may not be deleted", shown(c.ref))})
		}
	}
	if len(request.options) > 0 && !rules.PushOptions {
		refused = append(refused, refusal{rulePushOption, "push options are not let through"})
	}
	return refused
}

// checkForce asks whether each update only adds to what the upstream has. What
// cannot be told counts as a rewrite.
func (o *objects) checkForce(ctx context.Context, request *pushRequest, shown func(string) string) []refusal {
	var refused []refusal
	for _, c := range request.commands {
		if c.creates() || c.deletes() || c.old == c.new {
			continue
		}
		if strings.HasPrefix(c.ref, "refs/tags/") || !o.descends(ctx, c.new, c.old) {
			refused = append(refused, refusal{ruleForce, fmt.Sprintf("%s would be rewritten", shown(c.ref))})
		}
	}
	return refused
}

// descends tells whether from one commit another is reached. Where the push's
// own commits end the upstream is asked for the way between.
func (o *objects) descends(ctx context.Context, from, to gitpack.ID) bool {
	seen := map[gitpack.ID]bool{from: true}
	next, unknown := []gitpack.ID{from}, []gitpack.ID(nil)
	for ctx.Err() == nil {
		if len(next) == 0 {
			if len(unknown) == 0 {
				return false
			}
			tip := unknown[0]
			unknown = unknown[1:]
			if o.fetch(func() (*fetchedPack, error) { return o.lookup.history(ctx, tip, to) }) != nil {
				return false
			}
			next = append(next, tip)
			if _, _, err := o.local(tip); err != nil {
				next = nil // the upstream has it only before the other
			}
			continue
		}
		id := next[len(next)-1]
		next = next[:len(next)-1]
		if id == to {
			return true
		}
		t, data, err := o.local(id)
		if err != nil {
			unknown = append(unknown, id)
			continue
		}
		if t != gitpack.Commit {
			return false
		}
		_, parents, err := o.format.CommitLinks(data)
		if err != nil {
			return false
		}
		for _, parent := range parents {
			if !seen[parent] {
				seen[parent] = true
				next = append(next, parent)
			}
		}
	}
	return false
}
