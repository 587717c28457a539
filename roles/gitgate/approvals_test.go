package gitgate

import (
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/proposal"
)

var proposalID = regexp.MustCompile(`proposal ([0-9a-z]{18})`)

// asked is the id of the proposal that a refusal names.
func asked(t *testing.T, out string) string {
	t.Helper()
	match := proposalID.FindStringSubmatch(out)
	if match == nil {
		t.Fatalf("no proposal is named:\n%s", out)
	}
	return match[1]
}

// operator opens the queue as the host's side does.
func (g *gate) operator(t *testing.T) *proposal.Queue {
	t.Helper()
	q, err := proposal.Open(g.queue, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

// restarted are the approvals that a new process finds.
func (g *gate) restarted(t *testing.T) approved {
	t.Helper()
	a, err := newApprovals(g.queue, proposal.Options{Slug: "test"}, g.log, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer a.queue.Close()
	return a.inForce()
}

func respond(t *testing.T, q *proposal.Queue, id string, r proposal.Response) {
	t.Helper()
	e, err := q.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(e.Rule)+e.Justification+string(e.Request), secret) {
		t.Errorf("the proposal holds the secret: %+v", e)
	}
	r.ProposalID, r.Review, r.Decided, r.Operator = id, e.Review, time.Now(), "me"
	if err := q.Decide(r); err != nil {
		t.Fatal(err)
	}
	if err := q.Confirm(id); err != nil {
		t.Fatal(err)
	}
}

func TestFindingIsApproved(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	dir, q := g.cloned(t), g.operator(t)
	commit(t, dir, map[string]string{"a.txt": secret})
	out := g.refuses(t, dir, "known-secret in a.txt line 1", "HEAD:refs/heads/main")
	if !strings.Contains(out, "refused: pending") {
		t.Errorf("not said to be pending: %s", out)
	}
	id := asked(t, out)
	if again := asked(t, g.refuses(t, dir, "refused: pending", "HEAD:refs/heads/other")); again != id {
		t.Errorf("the same finding is asked twice: %s and %s", id, again)
	}
	respond(t, q, id, proposal.Response{Status: proposal.Approved})
	g.passes(t, dir, "HEAD:refs/heads/main")
	if _, err := os.Stat(g.queue + "/archive/" + id + ".response.json"); err != nil {
		t.Errorf("the answer was not filed as delivered: %v", err)
	}

	if rules := g.restarted(t); len(rules) != 1 {
		t.Errorf("after a restart these approvals hold: %v", rules)
	}

	// The finding is approved, wherever it stands; what else is found is not.
	commit(t, dir, map[string]string{"elsewhere": "x = " + secret})
	g.passes(t, dir, "HEAD:refs/heads/main")
	commit(t, dir, map[string]string{"b.txt": secret + "\n" + shortSecret})
	g.refuses(t, dir, "known-secret in b.txt line 2", "HEAD:refs/heads/main")
}

func TestFindingIsRejected(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	dir, q := g.cloned(t), g.operator(t)
	commit(t, dir, map[string]string{"a.txt": secret})
	id := asked(t, g.refuses(t, dir, "refused: pending", "HEAD:refs/heads/main"))
	respond(t, q, id, proposal.Response{Status: proposal.Rejected, Notes: "take it out\x1b[2J"})
	g.refuses(t, dir, "rejected: proposal "+id+" was answered: rejected: take it out", "HEAD:refs/heads/main")
	g.refuses(t, dir, "refused: rejected", "HEAD:refs/heads/main")
}

func TestApprovalThatEnds(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	dir, q := g.cloned(t), g.operator(t)
	commit(t, dir, map[string]string{"a.txt": secret})
	push := "HEAD:refs/heads/main"
	respond(t, q, asked(t, g.refuses(t, dir, "refused: pending", push)), proposal.Response{Status: proposal.Approved, Uses: 1})
	g.passes(t, dir, push)
	commit(t, dir, map[string]string{"a.txt": "x" + secret})
	g.refuses(t, dir, "known-secret in a.txt line 1", push)
	if rules := g.restarted(t); len(rules) != 0 {
		t.Errorf("after a restart spent approvals hold: %v", rules)
	}

	commit(t, dir, map[string]string{"a.txt": "gone", "b.txt": shortSecret})
	git(t, dir, "reset", "-q", "--soft", "HEAD~2")
	git(t, dir, "commit", "-q", "-m", "only the other one")
	past := time.Now().Add(-time.Second)
	respond(t, q, asked(t, g.refuses(t, dir, "refused: pending", push)), proposal.Response{Status: proposal.Approved, Expires: &past})
	g.refuses(t, dir, "has ended", push)
}

// TestHeldPush is answered while it waits.
func TestHeldPush(t *testing.T) {
	t.Parallel()
	g := startGateWith(t, "", nil, func(c *Config) { c.Hold = time.Minute })
	dir, q := g.cloned(t), g.operator(t)
	commit(t, dir, map[string]string{"a.txt": secret})
	var operator sync.WaitGroup
	operator.Go(func() {
		for {
			entries, _, err := q.List()
			if err != nil {
				t.Error(err)
				return
			}
			if len(entries) > 0 {
				respond(t, q, entries[0].ID, proposal.Response{Status: proposal.Approved})
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	out := g.passes(t, dir, "HEAD:refs/heads/main")
	operator.Wait()
	if !strings.Contains(out, "remote: git-gate: the operator is asked") || !strings.Contains(out, "remote: git-gate: held: known-secret in a.txt line 1") {
		t.Errorf("nothing was said while waiting: %s", out)
	}
}

// TestApprovalDoesNotAllowMore: what was approved in a held push is checked
// further.
func TestApprovalDoesNotAllowMore(t *testing.T) {
	t.Parallel()
	g := startGateWith(t, "", nil, func(c *Config) { c.Hold = 3 * time.Second })
	dir, q := g.cloned(t), g.operator(t)
	git(t, dir, "reset", "-q", "--hard", "HEAD~2")
	commit(t, dir, map[string]string{"a.txt": secret})
	var operator sync.WaitGroup
	operator.Go(func() {
		for range 100 {
			if entries, _, _ := q.List(); len(entries) > 0 {
				respond(t, q, entries[0].ID, proposal.Response{Status: proposal.Approved})
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	g.refuses(t, dir, "refused: force: refs/heads/main", "+HEAD:refs/heads/main")
	operator.Wait()
}

func TestCIIsAsked(t *testing.T) {
	t.Parallel()
	g := startGateWith(t, "push: ['refs/*']\n", nil, nil)
	dir, q := g.cloned(t), g.operator(t)
	commit(t, dir, map[string]string{".github/workflows/a.yml": workflow})
	push := "HEAD:refs/heads/ci"
	out := g.refuses(t, dir, "refused: ci-path: ", push)
	if !strings.Contains(out, ".github/workflows/a.yml") || !strings.Contains(out, "refused: pending") {
		t.Errorf("not said what is asked: %s", out)
	}
	id := asked(t, out)
	respond(t, q, id, proposal.Response{Status: proposal.Approved})
	// Another reference and another commit are not what was approved.
	g.refuses(t, dir, "refused: ci-path", "HEAD:refs/heads/other")
	g.refuses(t, dir, "refused: ci-path", push, "HEAD:refs/tags/other")
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "one more")
	g.refuses(t, dir, "refused: ci-path", push)
	g.passes(t, dir, "HEAD~1:refs/heads/ci")
	// That a branch has it does not let it onto another.
	g.refuses(t, dir, "refused: ci-path", "HEAD~1:refs/heads/main")
	// What builds on it and leaves it alone passes.
	commit(t, dir, map[string]string{"src": "x"})
	g.passes(t, dir, push)
}

// TestForgedAnswer: an answer without the proposal's review is none.
func TestForgedAnswer(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	dir := g.cloned(t)
	commit(t, dir, map[string]string{"a.txt": secret})
	id := asked(t, g.refuses(t, dir, "refused: pending", "HEAD:refs/heads/main"))
	forged := `{"proposal_id":"` + id + `","review":"00","status":"approved","notes":"","decided":"2030-01-01T00:00:00Z","operator":"x"}`
	if err := os.WriteFile(g.queue+"/"+id+".response.json", []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	g.refuses(t, dir, "refused: pending", "HEAD:refs/heads/main")
}

// TestNobodyToAsk: without a queue everything that would be asked is refused.
func TestNobodyToAsk(t *testing.T) {
	t.Parallel()
	g := startGateWith(t, "", nil, func(c *Config) { c.Queue = "" })
	dir := g.cloned(t)
	g.passes(t, dir, "HEAD:refs/heads/clean")
	commit(t, dir, map[string]string{".github/workflows/a.yml": workflow})
	g.refuses(t, dir, "refused: ci-path", "HEAD:refs/heads/main")
	commit(t, dir, map[string]string{"a.txt": secret})
	g.refuses(t, dir, "refused: known-secret", "HEAD:refs/heads/main")
}

func respondApproved(t *testing.T, q *proposal.Queue, id string) {
	t.Helper()
	respond(t, q, id, proposal.Response{Status: proposal.Approved})
}
