package gitgate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/internal/gitpack"
	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/proposal"
)

const (
	// bodyPatience is how long a client may send nothing.
	bodyPatience = 2 * time.Minute
	// progressEvery is how often a waiting client hears something.
	progressEvery = 5 * time.Second
)

// push is one push while it is judged and passed on.
type push struct {
	*Role
	repo    *repository
	request *pushRequest
	spooled *spooled
	report  *report
	http    *http.Request

	pack    *gitpack.Pack // nil when it only deletes
	objects *objects
	cleared approved
	uses    map[proposal.PushRule]bool // approvals that this push needs
}

// push takes a push in whole, judges it, and only then speaks to the upstream.
func (r *Role) push(w http.ResponseWriter, q *http.Request, repo *repository) {
	if len(repo.rules.Push) == 0 {
		r.refuse(w, q, repo, policy.GitWrite, "this repository is open for fetching only")
		return
	}
	body, err := requestBody(q)
	if err != nil {
		r.refuse(w, q, repo, policy.Malformed, err.Error())
		return
	}
	spooled, err := r.spool.create()
	if err != nil {
		r.refuse(w, q, repo, ruleLimit, err.Error())
		return
	}
	defer spooled.Close()
	body = &timely{http.NewResponseController(w), body}
	request, err := readPush(io.TeeReader(body, spooled))
	p := &push{
		Role: r, repo: repo, request: request, spooled: spooled, http: q,
		report: &report{w: w, request: request, redact: r.scanner.Redact},
		uses:   make(map[proposal.PushRule]bool),
	}
	if err == nil {
		_, err = io.Copy(spooled, body)
	}
	switch {
	case err == nil:
		p.judge(q.Context())
	case errors.Is(err, errProbe) && endOf(body):
		p.report.begin()
	case errors.Is(err, errFull):
		_, _ = io.CopyN(io.Discard, body, r.spool.most) // so that the client gets to read
		p.refuse([]refusal{{ruleLimit, err.Error()}})
	case q.Context().Err() != nil:
		r.log.Info("the client went away during a push", "repository", repo.name)
	default:
		_, _ = io.CopyN(io.Discard, body, r.spool.most)
		if errors.Is(err, errProbe) {
			err = errors.New("something follows an empty push")
		}
		p.refuse([]refusal{{policy.Malformed, err.Error()}})
	}
}

func endOf(body io.Reader) bool {
	n, err := io.ReadFull(body, make([]byte, 1))
	return n == 0 && errors.Is(err, io.EOF)
}

// timely ends a request whose client sends nothing for long.
type timely struct {
	control *http.ResponseController
	body    io.Reader
}

func (t *timely) Read(b []byte) (int, error) {
	_ = t.control.SetReadDeadline(time.Now().Add(bodyPatience))
	n, err := t.body.Read(b)
	if err != nil {
		_ = t.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// judge decides on the push and passes it on or refuses it.
func (p *push) judge(ctx context.Context) {
	refused, questions := p.check(ctx)
	if len(refused) == 0 && len(questions) > 0 {
		stop := p.report.waiting(progressEvery, "the operator is asked")
		refused = p.approvals.ask(ctx, questions, p.report.say)
		stop()
		if len(refused) > 0 {
			for _, q := range questions {
				refused = append([]refusal{{q.shown, q.words}}, refused...)
			}
		}
	}
	if ctx.Err() != nil {
		p.log.Info("the client went away during a push", "repository", p.repo.name)
		return
	}
	if len(refused) == 0 {
		refused = p.settle(questions)
	}
	if len(refused) > 0 {
		p.refuse(refused)
		return
	}
	p.forward(ctx)
}

// check judges. A panic of what reads the push is a refusal.
func (p *push) check(ctx context.Context) (refused []refusal, questions []question) {
	ctx, cancel := context.WithTimeout(ctx, p.limits.Time)
	defer cancel()
	stop := p.report.waiting(progressEvery, "the push is read and scanned")
	defer stop()
	defer func() {
		if cause := recover(); cause != nil {
			p.log.Error("judging a push failed", "panic", p.scanner.Redact(fmt.Sprint(cause)))
			refused, questions = []refusal{{policy.Malformed, "the push could not be judged"}}, nil
		}
	}()
	p.cleared = p.approvals.inForce()
	inspector := newInspector(p.scanner, p.repo.name, p.clears)
	inspector.format = p.request.format
	section := make([]byte, p.request.size)
	if _, err := p.spooled.file.ReadAt(section, 0); err != nil {
		return []refusal{{ruleLimit, "the push cannot be read back"}}, nil
	}
	inspector.text(-1, "the references or options of the push", section)
	for _, c := range p.request.commands {
		inspector.text(-1, "the name of a reference", []byte(c.ref))
	}
	refused = checkRefs(p.repo.rules, p.request, p.shown)
	if err := p.readPack(ctx, inspector); err != nil {
		return append(refused, packRefusal(ctx, err)), nil
	}
	p.objects = &objects{pack: p.pack, format: p.request.format, memory: &p.repo.memory, lookup: &lookup{
		upstream: p.repo.upstream, format: p.request.format, spool: p.spool, limits: p.limits.Pack,
	}}
	defer p.objects.close()
	questions = p.secretQuestions(inspector.found)
	if len(refused) == 0 && len(questions) > 0 && p.approvals.queue == nil {
		return p.asRefusals(questions), nil
	}
	if len(refused) == 0 && len(questions) == 0 && !p.repo.rules.Force {
		refused = p.objects.checkForce(ctx, p.request, p.shown)
	}
	if len(refused) == 0 && p.repo.rules.CIPaths != "allow" {
		asked := p.ciQuestions(ctx)
		if p.repo.rules.CIPaths != "ask" || p.approvals.queue == nil {
			refused = p.asRefusals(asked)
		} else {
			questions = append(questions, asked...)
		}
	}
	if len(refused) > 0 {
		return append(refused, p.asRefusals(questions)...), nil
	}
	if ctx.Err() != nil {
		return []refusal{packRefusal(ctx, ctx.Err())}, nil
	}
	return nil, questions
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
	return err
}

func packRefusal(ctx context.Context, err error) refusal {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return refusal{ruleLimit, "reading and scanning the push takes too long; push in smaller parts"}
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
			if err := p.approvals.use(e); err != nil {
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

// refuse tells the client and writes it down.
func (p *push) refuse(refused []refusal) {
	lines := make([]string, len(refused))
	for i, one := range refused {
		if one.rule == policy.Secret || one.rule == ruleCI {
			lines[i] = one.text
		} else {
			lines[i] = fmt.Sprintf("%s: %s", one.rule, one.text)
		}
		lines[i] = proposal.Clean(p.scanner.Redact(lines[i]), 500)
	}
	err := p.write("block", map[string]any{"rule": string(refused[0].rule), "reason": strings.Join(lines, "; ")})
	if err != nil {
		p.log.Error("the audit log cannot be written", "error", err.Error())
	}
	if len(p.request.commands) == 0 {
		p.report.w.Header().Set(policy.BlockHeader, string(refused[0].rule))
		http.Error(p.report.w, "git-gate: refused: "+strings.Join(lines, "; "), http.StatusForbidden)
		return
	}
	for _, line := range lines {
		p.report.say("git-gate: refused: " + line)
	}
	reason := string(refused[0].rule)
	if !p.request.sideband {
		reason = lines[0]
	}
	p.report.rejected("git-gate: " + reason)
}

// write appends to the audit log what was pushed and what became of it.
func (p *push) write(decision string, more map[string]any) error {
	var refs []any
	for i, c := range p.request.commands {
		if i == 50 {
			refs = append(refs, fmt.Sprintf("and %d more", len(p.request.commands)-i))
			break
		}
		refs = append(refs, fmt.Sprintf("%s %s..%s", c.ref, c.old, c.new))
	}
	detail := map[string]any{"method": p.http.Method, "path": p.http.URL.Path, "repository": p.repo.name,
		"references": refs, "bytes": p.spooled.size}
	if p.pack != nil {
		detail["objects"] = p.pack.Len()
	}
	for key, value := range more {
		detail[key] = value
	}
	return p.audit.Append(audit.Record{Actor: "git-gate", Action: "push", Decision: decision, Detail: detail})
}
