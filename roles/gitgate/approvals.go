package gitgate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// approvals asks the operator and knows the answers. Without a queue nobody
// can be asked, and nothing is approved.
type approvals struct {
	queue   *proposal.Queue
	archive string // folder of the answers that were delivered
	audit   *audit.Log
	hold    time.Duration

	mu       sync.Mutex
	answered map[string]proposal.Entry // delivered ones by id
	used     map[string]int            // how often an approval was used, by id
}

func newApprovals(dir string, o proposal.Options, log *audit.Log, hold time.Duration) (*approvals, error) {
	a := &approvals{audit: log, hold: hold, answered: make(map[string]proposal.Entry), used: make(map[string]int)}
	if dir == "" {
		return a, nil
	}
	queue, err := proposal.Create(dir, o)
	if err != nil {
		return nil, err
	}
	a.queue, a.archive = queue, filepath.Join(dir, "archive")
	return a, nil
}

// approved are the approvals in force, at one moment.
type approved map[proposal.PushRule]proposal.Entry

// inForce reads the approvals, delivered or not. What cannot be read approves
// nothing.
func (a *approvals) inForce() approved {
	rules := make(approved)
	if a.queue == nil {
		return rules
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	files, err := os.ReadDir(a.archive)
	if err != nil {
		return rules
	}
	for _, file := range files {
		id, ok := strings.CutSuffix(file.Name(), ".proposal.json")
		if _, known := a.answered[id]; !ok || known || !proposal.ValidID(id) {
			continue
		}
		if e, err := a.queue.Get(id); err == nil && e.Response != nil {
			a.answered[id] = e
		}
	}
	waiting, _, err := a.queue.List()
	if err != nil {
		waiting = nil
	}
	for id, e := range a.answered {
		_, counted := a.used[id]
		// Of an approval for a number of pushes that was delivered before this
		// process began, nobody knows how often it was used.
		if e.Response.Uses == 0 || counted {
			a.add(rules, e)
		}
	}
	for _, e := range waiting {
		a.add(rules, e)
	}
	return rules
}

func (a *approvals) add(rules approved, e proposal.Entry) {
	if e.Kind != proposal.GitPush || e.Response == nil || !a.holds(e) {
		return
	}
	if rule, err := proposal.ParseRule(e.Kind, e.Rule); err == nil {
		rules[*rule.(*proposal.PushRule)] = e
	}
}

// holds tells whether an answer is an approval that has not ended.
func (a *approvals) holds(e proposal.Entry) bool {
	r := e.Response
	return r.Status == proposal.Approved &&
		(r.Expires == nil || time.Now().Before(*r.Expires)) &&
		(r.Uses == 0 || a.used[e.ID] < r.Uses)
}

// clears tells whether a finding in a repository is approved.
func (rules approved) clears(repository string) func(secretscan.Finding) bool {
	return func(f secretscan.Finding) bool {
		_, ok := rules[proposal.PushRule{Repository: repository, Rule: f.Rule, Fingerprint: f.Fingerprint}]
		return ok
	}
}

// use counts a push that an approval let through, and files the answer as
// delivered.
func (a *approvals) use(e proposal.Entry) error {
	a.mu.Lock()
	holds := a.holds(e)
	if holds {
		a.used[e.ID]++
	}
	a.mu.Unlock()
	if !holds {
		return errEnded
	}
	return a.deliver(e.ID)
}

var errEnded = errors.New("the approval has ended")

func (a *approvals) deliver(id string) error {
	return a.queue.Deliver(id, func(e proposal.Entry) error {
		return a.audit.Append(audit.Record{Actor: "git-gate", Action: "proposal", Decision: string(e.Response.Status),
			Detail: map[string]any{"proposal": e.ID, "kind": string(e.Kind)}})
	})
}

// question is what the operator is asked about a push.
type question struct {
	rule  proposal.PushRule
	shown policy.Rule // the rule that a refusal names
	words string      // what was found, without the secret
}

// ask files the questions, and waits for the answers as long as hold. It
// returns a refusal when not all of them are approved.
func (a *approvals) ask(ctx context.Context, questions []question, hold time.Duration, say func(string)) []refusal {
	var filed []string
	var failed error
	for _, q := range questions {
		id, err := a.file(q)
		if err != nil {
			failed = err
			continue
		}
		filed = append(filed, id)
	}
	var refused []refusal
	if failed != nil {
		which := ""
		if n := len(questions) - len(filed); len(filed) > 0 {
			which = fmt.Sprintf(" about %d of these", n)
		}
		refused = []refusal{{rulePending, fmt.Sprintf("the operator cannot be asked%s: %v", which, failed)}}
		hold = 0 // waiting would be for nothing
	}
	if hold > 0 {
		say(fmt.Sprintf("git-gate: held: waiting for the operator's answer to %s (up to %s)", proposals(filed), hold))
	}
	ctx, cancel := context.WithTimeout(ctx, hold)
	defer cancel()
	var pending []string
	for _, id := range filed {
		switch r, err := a.await(ctx, id); {
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
			pending = append(pending, id)
		case err != nil:
			refused = append(refused, refusal{rulePending, fmt.Sprintf("proposal %s cannot be read", id)})
		case r != nil:
			refused = append(refused, *r)
		}
	}
	if len(pending) > 0 {
		words := " waits for the operator; push again once it is approved"
		if len(pending) > 1 {
			words = " wait for the operator; push again once they are approved"
		}
		refused = append(refused, refusal{rulePending, proposals(pending) + words})
	}
	return refused
}

// file puts a question into the queue, once however often it is asked.
func (a *approvals) file(q question) (id string, err error) {
	draft, err := proposal.AskPush(q.rule, q.words)
	if err != nil {
		return "", err
	}
	p, fresh, err := a.queue.Add(draft)
	if err == nil && fresh {
		err = a.audit.Append(audit.Record{Actor: "git-gate", Action: "proposal", Decision: "filed",
			Detail: map[string]any{"proposal": p.ID, "kind": string(p.Kind), "repository": q.rule.Repository}})
	}
	return p.ID, err
}

// proposals names some of them.
func proposals(ids []string) string {
	if len(ids) == 1 {
		return "proposal " + ids[0]
	}
	return "proposals " + strings.Join(ids, ", ")
}

// await waits for one answer. It returns nil when that is an approval in force,
// otherwise why not; ctx's error when there is none in time.
func (a *approvals) await(ctx context.Context, id string) (*refusal, error) {
	if _, err := a.queue.Wait(ctx, id); err != nil {
		return nil, err
	}
	e, err := a.queue.Get(id)
	if err != nil {
		return nil, err
	}
	if e.Response == nil {
		return nil, errors.New("its answer is gone")
	}
	a.mu.Lock()
	holds := a.holds(e)
	a.mu.Unlock()
	if holds {
		return nil, nil
	}
	if err := a.deliver(id); err != nil {
		return &refusal{ruleAudit, "the answer cannot be written down"}, nil
	}
	if e.Response.Status == proposal.Approved {
		return &refusal{ruleRejected, fmt.Sprintf("the approval of proposal %s has ended; push again to ask anew", id)}, nil
	}
	words := fmt.Sprintf("proposal %s was answered: %s", id, e.Response.Status)
	if notes := proposal.Clean(e.Response.Notes, 300); notes != "" {
		words += ": " + notes
	}
	return &refusal{ruleRejected, words}, nil
}
