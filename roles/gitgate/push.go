package gitgate

import (
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
	// maxLine is how many characters of a refusal are shown.
	maxLine = 500
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
	cleared approved
	unnamed []refusal                  // says how many secrets no question names
	uses    map[proposal.PushRule]bool // approvals that this push needs
}

// push takes a push in whole, judges it, and only then speaks to the upstream.
func (r *Role) push(w http.ResponseWriter, q *http.Request, repo *repository) {
	if len(repo.rules.Push) == 0 {
		r.refuse(w, q, repo, policy.GitWrite, "this repository is open for fetching only")
		return
	}
	body, err := requestBody(q.Header, &timely{http.NewResponseController(w), q.Body})
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

// refuse tells the client and writes it down.
func (p *push) refuse(refused []refusal) {
	lines := make([]string, len(refused))
	for i, one := range refused {
		if one.rule == policy.Secret || one.rule == ruleCI {
			lines[i] = one.text
		} else {
			lines[i] = fmt.Sprintf("%s: %s", one.rule, one.text)
		}
		lines[i] = proposal.Clean(p.scanner.Redact(lines[i]), maxLine)
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
