package gitgate

import (
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/proposal"
)

var proposalID = regexp.MustCompile(`proposals? ([0-9a-z]{18})`)

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
	commit(t, dir, map[string]string{"Jenkinsfile": "node {}"})
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
	for _, want := range []string{"remote: git-gate: held: ci-path: ", "remote: git-gate: held: waiting for the operator's answer to proposal "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q was not said while waiting: %s", want, out)
		}
	}
}

// TestSecretIsNotHeld: a push with a secret is over at once, however long others
// wait for the operator; the test does not end before the hold would.
func TestSecretIsNotHeld(t *testing.T) {
	t.Parallel()
	g := startGateWith(t, "", nil, func(c *Config) { c.Hold = time.Hour })
	dir := g.cloned(t)
	commit(t, dir, map[string]string{"a.txt": secret, "Jenkinsfile": "node {}"})
	out := g.refuses(t, dir, "remote: git-gate: refused: known-secret in a.txt line 1 of ", "HEAD:refs/heads/main")
	asked(t, out)
	if strings.Contains(out, "held") {
		t.Errorf("the push was held: %s", out)
	}
}

// TestApprovalDoesNotAllowMore: a push that was let through with its secret is
// checked further.
func TestApprovalDoesNotAllowMore(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	dir, q := g.cloned(t), g.operator(t)
	git(t, dir, "reset", "-q", "--hard", "HEAD~2")
	commit(t, dir, map[string]string{"a.txt": secret})
	respondApproved(t, q, asked(t, g.refuses(t, dir, "known-secret in a.txt", "+HEAD:refs/heads/main")))
	g.refuses(t, dir, "refused: force: refs/heads/main", "+HEAD:refs/heads/main")
	g.passes(t, dir, "HEAD:refs/heads/new")
}

// manySecrets is n different tokens, one a line.
func manySecrets(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "line %d ghp_%sx%04d%s\n", i, "9vQ2rT7wL", i, "kZ3nB8mX4cY6dF1gH5jP0q")
	}
	return text.String()
}

// TestManySecrets: all are counted, the first ones named, and each is asked about
// as far as the queue takes it. Answering those named does not let the rest pass.
func TestManySecrets(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	dir, q := g.cloned(t), g.operator(t)
	push := "HEAD:refs/heads/main"
	commit(t, dir, map[string]string{"a.txt": manySecrets(27)})
	answer := func() {
		entries, _, err := q.List()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Response == nil {
				respondApproved(t, q, e.ID)
			}
		}
	}
	for _, round := range []struct {
		named      int
		more, last string
	}{
		{10, "and 17 more secrets", "in a.txt line 10 of"},
		{10, "and 7 more secrets", "in a.txt line 20 of"},
		{7, "", "in a.txt line 27 of"},
	} {
		out := g.refuses(t, dir, "refused: pending: proposals ", push)
		if named := strings.Count(out, "refused: github-pat in a.txt line "); named != round.named || !strings.Contains(out, round.last) {
			t.Errorf("%d are named, want %d with %q:\n%s", named, round.named, round.last, out)
		}
		if round.more == "" == strings.Contains(out, "more secret") || !strings.Contains(out, round.more) {
			t.Errorf("not said that there is more, want %q:\n%s", round.more, out)
		}
		answer()
	}
	g.passes(t, dir, push)
}

// TestFullQueue: what nobody can be asked about is refused with words.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	dir, q := g.cloned(t), g.operator(t)
	for i := range proposal.MaxOpen - 2 {
		draft, err := proposal.AskPush(proposal.PushRule{Repository: "widgets", Ref: "refs/heads/x", Commit: fmt.Sprintf("%040x", i)}, "others")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := q.Add(draft); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, dir, map[string]string{"a.txt": manySecrets(5)})
	out := g.refuses(t, dir, "refused: pending: the operator cannot be asked about 3 of these: 20 proposals already wait", "HEAD:refs/heads/main")
	if strings.Count(out, "refused: github-pat in a.txt line ") != 5 || !strings.Contains(out, "refused: pending: proposals ") {
		t.Errorf("not all is said: %s", out)
	}
}

// TestApprovalOfNamedSecretsOnly: answers that come while a push is judged do not
// let pass what was not named.
func TestApprovalOfNamedSecretsOnly(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	q := g.operator(t)
	asks := []question{{rule: proposal.PushRule{Repository: "widgets", Rule: "r", Fingerprint: strings.Repeat("0", 64)}, shown: policy.Secret, words: "r in x"}}
	request := &pushRequest{}
	p := &push{Role: g.role, request: request, report: &report{w: httptest.NewRecorder(), request: request, redact: g.role.scanner.Redact}}
	id, err := g.role.approvals.file(asks[0])
	if err != nil {
		t.Fatal(err)
	}
	respondApproved(t, q, id)
	if refused := p.ask(t.Context(), asks, 0); len(refused) != 0 {
		t.Errorf("control: %v", refused)
	}
	p.unnamed = []refusal{{policy.Secret, moreSecrets(1)}}
	if refused := p.ask(t.Context(), asks, 0); len(refused) == 0 {
		t.Error("what was not named passes")
	}
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
