package supervise_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/roles/supervise"
)

var docs = map[string]any{"host": "docs.example", "methods": []string{"get"}, "justification": "to read the manual"}

func TestTools(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	list, err := s.client(nil).ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
		if tool.Description == "" || tool.InputSchema == nil || tool.OutputSchema == nil {
			t.Errorf("%s lacks description or schema", tool.Name)
		}
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "capability-block check-proposal egress-block list-egress-routes pipelock-block" {
		t.Errorf("tools: %s", got)
	}
}

func TestAnAnswerEndsTheWait(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	session := s.client(nil)
	for tool, arguments := range map[string]map[string]any{
		"egress-block":     docs,
		"pipelock-block":   {"failed_url": "https://files.example/x?y", "justification": "why"},
		"capability-block": {"change": "more memory", "justification": "why"},
	} {
		for _, status := range []proposal.Status{proposal.Rejected, proposal.Modified, proposal.Approved} {
			arguments["justification"] = "because of " + string(status)
			done := make(chan supervise.Answer)
			go func() { done <- s.call(session, tool, arguments) }()
			p := s.open(1)[0].Proposal
			if string(p.Kind) != tool {
				t.Errorf("%s filed a %s", tool, p.Kind)
			}
			s.respond(p, status)
			if a := <-done; a.Status != status || a.ProposalID != p.ID || a.Notes != "the operator's words" {
				t.Errorf("%s: told %+v", tool, a)
			}
			if filed, told := s.audited(p.ID, "filed"), s.audited(p.ID, string(status)); filed != 1 || told != 1 {
				t.Errorf("%s: in the audit log filed %d times, answered %d times", tool, filed, told)
			}
		}
	}
}

func TestProgressComesAtOnce(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	told := make(chan string, 10)
	session := s.client(&mcp.ClientOptions{ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
		told <- r.Params.Message
	}})
	params := &mcp.CallToolParams{Name: "egress-block", Arguments: docs}
	params.SetProgressToken("one")
	done := make(chan error)
	go func() { _, err := session.CallTool(t.Context(), params); done <- err }()
	p := s.open(1)[0].Proposal
	if message := <-told; !strings.Contains(message, p.ID) {
		t.Errorf("progress: %q", message)
	}
	s.respond(p, proposal.Approved)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestProgressGoesOnWhileACallWaits(t *testing.T) {
	const wait, every = 3 * time.Second, 100 * time.Millisecond
	s := start(t, t.TempDir(), func(c *supervise.Config) { c.Wait, c.Progress = wait, every })
	told := make(chan float64, 100)
	session := s.client(&mcp.ClientOptions{ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
		told <- r.Params.Progress
	}})
	params := &mcp.CallToolParams{Name: "egress-block", Arguments: docs}
	params.SetProgressToken("one")
	if _, err := session.CallTool(t.Context(), params); err != nil {
		t.Fatal(err)
	}
	for i, last := 0, -1.0; i < 3; i++ {
		select {
		case now := <-told:
			if now <= last {
				t.Errorf("progress %g after %g: clients take only more for progress", now, last)
			}
			last = now
		case <-time.After(time.Minute):
			t.Fatalf("told %d times in %s, want one every %s", i, wait, every)
		}
	}
}

func TestPendingThenCheck(t *testing.T) {
	s := start(t, t.TempDir(), func(c *supervise.Config) { c.Wait = 0 })
	session := s.client(nil)
	a := s.call(session, "egress-block", docs)
	if a.Status != proposal.Pending || a.ProposalID == "" {
		t.Fatalf("%+v", a)
	}
	if again := s.call(session, "egress-block", docs); again.ProposalID != a.ProposalID {
		t.Error("asked again, it became another proposal")
	}
	check := map[string]any{"proposal_id": a.ProposalID}
	if c := s.call(session, "check-proposal", check); c.Status != proposal.Pending {
		t.Errorf("%+v", c)
	}
	done := make(chan supervise.Answer)
	go func() {
		done <- s.call(session, "check-proposal", map[string]any{"proposal_id": a.ProposalID, "wait_seconds": 20})
	}()
	s.respond(s.open(1)[0].Proposal, proposal.Approved)
	if c := <-done; c.Status != proposal.Approved {
		t.Errorf("%+v", c)
	}
	for range 2 { // from the archive
		if c := s.call(session, "check-proposal", check); c.Status != proposal.Approved || c.ProposalID != a.ProposalID {
			t.Errorf("%+v", c)
		}
	}
	if n := s.audited(a.ProposalID, "approved"); n != 1 {
		t.Errorf("%d times in the audit log", n)
	}
	for _, id := range []string{"", "nonsense", "../../etc/passwd", "0000000000000000zz"} {
		if words := s.fails(session, "check-proposal", map[string]any{"proposal_id": id}); !strings.Contains(words, "no such proposal") {
			t.Errorf("%q: %s", id, words)
		}
	}
}

func TestARestartLosesNothing(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir, nil)
	waiting := make(chan supervise.Answer)
	session := s.client(nil)
	go func() { waiting <- s.call(session, "egress-block", docs) }()
	p := s.open(1)[0].Proposal
	s.stop()
	if a := <-waiting; a.Status != proposal.Pending || a.ProposalID != p.ID {
		t.Errorf("at the stop: %+v", a)
	}
	s.respond(p, proposal.Approved)

	s = start(t, dir, nil)
	session = s.client(nil)
	if a := s.call(session, "egress-block", docs); a.Status != proposal.Approved || a.ProposalID != p.ID {
		t.Errorf("asked again: %+v", a)
	}
	s.stop()
	s = start(t, dir, nil)
	if a := s.call(s.client(nil), "check-proposal", map[string]any{"proposal_id": p.ID}); a.Status != proposal.Approved {
		t.Errorf("after another restart: %+v", a)
	}
	if n := s.audited(p.ID, "approved"); n != 1 {
		t.Errorf("%d times in the audit log", n)
	}
}

func TestAFlood(t *testing.T) {
	s := start(t, t.TempDir(), func(c *supervise.Config) { c.Wait = 0 })
	session := s.client(nil)
	filed, refused := 0, 0
	for i := range 1000 {
		result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "egress-block", Arguments: map[string]any{
			"host": strings.Repeat("a", i%50+1) + string(rune('a'+i/50)) + ".example", "justification": "please",
		}})
		switch {
		case err != nil:
			t.Fatal(err)
		case !result.IsError:
			filed++
		case strings.Contains(text(result), "20 proposals already wait"):
			refused++
		default:
			t.Fatal(text(result))
		}
	}
	if filed != 20 || refused != 980 {
		t.Errorf("%d filed, %d refused", filed, refused)
	}
	s.open(20)
}

func TestHostileWords(t *testing.T) {
	s := start(t, t.TempDir(), func(c *supervise.Config) { c.Wait = 0 })
	session := s.client(nil)
	words := "safe\x1b[2J\x1b]0;title\a \u202egnirts\u202c \u200bhidden\U000E0041" + strings.Repeat(" and so on", 20_000)
	s.call(session, "egress-block", map[string]any{"host": "docs.example", "justification": words})
	p := s.open(1)[0].Proposal
	if n := len([]rune(p.Justification)); n > 2000 || !strings.HasPrefix(p.Justification, "safe gnirts hidden and so on") {
		t.Errorf("%d characters: %.60q", n, p.Justification)
	}
	for _, host := range []string{"*.example", "*", "10.0.0.1", "a b", "evil\u202e.example", "x.example/path", "http://x.example"} {
		if words := s.fails(session, "egress-block", map[string]any{"host": host, "justification": "why"}); words == "" {
			t.Errorf("%q: refused without words", host)
		}
	}
	s.fails(session, "egress-block", map[string]any{"host": "x.example", "justification": "why", "token": "abc"})
	s.fails(session, "egress-block", map[string]any{"host": "x.example"})
	s.fails(session, "egress-block", nil)
	s.open(1)
}

func TestWaitersAreBounded(t *testing.T) {
	s := start(t, t.TempDir(), func(c *supervise.Config) { c.Wait = 0 })
	session := s.client(nil)
	id := s.call(session, "egress-block", docs).ProposalID
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	results := make(chan supervise.Answer, 100)
	for range 100 {
		go func() {
			result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "check-proposal", Arguments: map[string]any{"proposal_id": id, "wait_seconds": 60}})
			var a supervise.Answer
			if err == nil {
				into(t, result.StructuredContent, &a)
			}
			results <- a
		}()
	}
	for range 36 { // beyond 64 nobody waits
		if a := <-results; a.Status != proposal.Pending {
			t.Errorf("%+v", a)
		}
	}
	s.respond(s.open(1)[0].Proposal, proposal.Approved)
	for range 64 {
		if a := <-results; a.Status != proposal.Approved {
			t.Errorf("%+v", a)
		}
	}
	if n := s.audited(id, "approved"); n != 1 {
		t.Errorf("%d times in the audit log", n)
	}
}
