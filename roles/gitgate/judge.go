package gitgate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/claude-bottle/claude-bottle/internal/gitpack"
	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/proposal"
)

// judge decides on the push and passes it on or refuses it. What can be told
// without the upstream comes first.
func (p *push) judge(ctx context.Context) {
	var asked []question
	for _, stage := range []struct {
		look func(context.Context) ([]refusal, []question)
		// hold is how long the answers are waited for. A secret is refused at
		// once: whoever pushed it by mistake takes it out.
		hold time.Duration
	}{{p.inspect, 0}, {p.compare, p.approvals.hold}} {
		refused, questions := p.guarded(ctx, stage.look)
		if len(refused) == 0 {
			refused = p.ask(ctx, questions, stage.hold)
		}
		if ctx.Err() != nil {
			p.log.Info("the client went away during a push", "repository", p.repo.name)
			return
		}
		if len(refused) > 0 {
			p.refuse(refused)
			return
		}
		asked = append(asked, questions...)
	}
	if refused := p.settle(asked); len(refused) > 0 {
		p.refuse(refused)
		return
	}
	p.forward(ctx)
}

// guarded runs a part of the judgement within the limit of time. Its panic is a
// refusal.
func (p *push) guarded(ctx context.Context, look func(context.Context) ([]refusal, []question)) (refused []refusal, questions []question) {
	defer p.report.waiting(progressEvery, "the push is read and compared")()
	select {
	case p.judging <- struct{}{}:
		defer func() { <-p.judging }()
	case <-ctx.Done():
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.limits.Time)
	defer cancel()
	defer func() {
		if cause := recover(); cause != nil {
			p.log.Error("judging a push failed", "panic", p.scanner.Redact(fmt.Sprint(cause)))
			refused, questions = []refusal{{policy.Malformed, "the push could not be judged"}}, nil
		}
	}()
	refused, questions = look(ctx)
	if len(refused) == 0 && ctx.Err() != nil {
		refused = []refusal{lookRefusal(ctx, ctx.Err())}
	}
	return refused, questions
}

// inspect judges by the push alone: its names, its pack, what is in it.
func (p *push) inspect(ctx context.Context) ([]refusal, []question) {
	p.cleared = p.approvals.inForce()
	inspector := newInspector(p.scanner, p.request.format, p.repo.name, p.clears)
	section := make([]byte, p.request.size)
	if _, err := p.spooled.file.ReadAt(section, 0); err != nil {
		return []refusal{{ruleLimit, "the push cannot be read back"}}, nil
	}
	inspector.aside("the references or options of the push", section)
	for _, c := range p.request.commands {
		inspector.aside("the name of a reference", []byte(c.ref))
	}
	refused := checkRefs(p.repo.rules, p.request, p.shown)
	if err := p.readPack(ctx, inspector); err != nil {
		return append(refused, lookRefusal(ctx, err)), nil
	}
	questions := p.secretQuestions(ctx, inspector.found)
	if n := inspector.unnamed(); n > 0 {
		p.unnamed = []refusal{{policy.Secret, moreSecrets(n)}}
	}
	if len(refused) > 0 || len(questions) == 0 && len(p.unnamed) > 0 {
		return append(append(refused, asRefusals(questions)...), p.unnamed...), nil
	}
	return nil, questions
}

// compare judges by what the upstream has.
func (p *push) compare(ctx context.Context) ([]refusal, []question) {
	o := &objects{pack: p.pack, format: p.request.format, memory: &p.repo.memory, lookup: &lookup{
		upstream: p.repo.upstream, format: p.request.format, spool: p.spool, limits: p.limits.Pack,
		memory: &p.repo.memory, offers: &p.repo.offers,
	}}
	defer o.close()
	var refused []refusal
	if !p.repo.rules.Force {
		refused = o.checkForce(ctx, p.request, p.shown)
	}
	if p.repo.rules.CIPaths == "allow" {
		return refused, nil
	}
	questions := p.ciQuestions(ctx, o)
	if len(refused) > 0 || p.repo.rules.CIPaths != "ask" {
		return append(refused, asRefusals(questions)...), nil
	}
	return nil, questions
}

// ask puts questions to the operator and waits for the answers as long as hold.
// The refusals it returns name what was asked and what came of it.
func (p *push) ask(ctx context.Context, questions []question, hold time.Duration) []refusal {
	if len(questions) == 0 {
		return nil
	}
	named := append(asRefusals(questions), p.unnamed...)
	if p.approvals.queue == nil {
		return named
	}
	if hold > 0 {
		for _, q := range questions { // at once, whatever the answer will be
			p.report.say(proposal.Clean("git-gate: held: "+q.words, maxLine))
		}
		defer p.report.waiting(progressEvery, "held: waiting for the operator")()
	}
	refused := p.approvals.ask(ctx, questions, hold, p.report.say)
	if len(refused) == 0 && len(p.unnamed) == 0 {
		return nil
	}
	return append(named, refused...)
}

// shown is a name fit to be shown.
func (p *push) shown(name string) string { return shownName(name, p.scanner) }

func (p *push) readPack(ctx context.Context, inspector *inspector) (err error) {
	content := p.spooled.section(p.request.size)
	if !p.request.hasPack() {
		if content.Size() > 0 {
			return errors.New("a push that only deletes is followed by something")
		}
		return nil
	}
	p.pack, err = gitpack.Read(ctx, content, content.Size(), p.request.format, p.limits.Pack, inspector)
	if err != nil {
		inspector.wait()
		return err
	}
	return inspector.finish(p.pack)
}

func lookRefusal(ctx context.Context, err error) refusal {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return refusal{ruleLimit, "judging the push takes too long; push in smaller parts"}
	case errors.Is(err, gitpack.ErrLimit):
		return refusal{ruleLimit, err.Error()}
	}
	return refusal{policy.Malformed, err.Error()}
}

// settle uses up the approvals and writes the verdict down; only then may the
// push go on.
func (p *push) settle(questions []question) []refusal {
	for _, q := range questions {
		p.uses[q.rule] = true
	}
	if len(p.uses) > 0 {
		now := p.approvals.inForce()
		for rule := range p.uses {
			e, ok := now[rule]
			if !ok {
				return []refusal{{ruleRejected, "an approval ended meanwhile; push again to ask anew"}}
			}
			switch err := p.approvals.use(e); {
			case errors.Is(err, errEnded):
				return []refusal{{ruleRejected, "an approval ended meanwhile; push again to ask anew"}}
			case err != nil:
				return []refusal{{ruleAudit, "the approval cannot be written down"}}
			}
		}
	}
	if err := p.write("allow", nil); err != nil {
		p.log.Error("the audit log cannot be written", "error", err.Error())
		return []refusal{{ruleAudit, "the audit log cannot be written"}}
	}
	return nil
}
