package proposal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/proposal"
)

const slug = "demo-abc12"

// pair is both ends of one queue.
type pair struct {
	dir              string
	bundle, operator *proposal.Queue
	problems         func() []string
}

func newPair(t *testing.T, now func() time.Time) pair {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "queue")
	var mu sync.Mutex
	var problems []string
	bundle, err := proposal.Create(dir, proposal.Options{Slug: slug, Now: now, Report: func(err error) {
		mu.Lock()
		defer mu.Unlock()
		problems = append(problems, err.Error())
	}})
	if err != nil {
		t.Fatal(err)
	}
	operator, err := proposal.Open(dir, slug)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bundle.Close(); operator.Close() })
	return pair{dir, bundle, operator, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), problems...)
	}}
}

func ask(t *testing.T, q *proposal.Queue, host, why string) proposal.Proposal {
	t.Helper()
	draft, err := proposal.AskEgress(host, nil, nil, why)
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := q.Add(draft)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func answer(p proposal.Proposal, status proposal.Status) proposal.Response {
	return proposal.Response{ProposalID: p.ID, Review: p.Review, Status: status, Notes: "fine", Decided: time.Now().UTC(), Operator: "me"}
}

func decide(t *testing.T, q *proposal.Queue, r proposal.Response) {
	t.Helper()
	if err := errors.Join(q.Decide(r), q.Confirm(r.ProposalID)); err != nil {
		t.Fatal(err)
	}
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestAskDecideDeliver(t *testing.T) {
	q := newPair(t, nil)
	p := ask(t, q.bundle, "Docs.Example.", "to read the manual")
	if string(p.Rule) != `{"host":"docs.example"}` {
		t.Errorf("rule is %s", p.Rule)
	}
	if again := ask(t, q.bundle, "docs.example", "in other words"); again.ID != p.ID {
		t.Error("the same request became two proposals")
	}
	entries, problems, err := q.operator.List()
	if err != nil || len(problems) != 0 || len(entries) != 1 || entries[0].ID != p.ID {
		t.Fatalf("the operator sees %v, %v, %v", entries, problems, err)
	}
	if _, err := q.bundle.Wait(soon(t), p.ID); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("an unanswered proposal was answered: %v", err)
	}
	if err := q.operator.Decide(answer(p, proposal.Approved)); err != nil {
		t.Fatal(err)
	}
	if err := q.operator.Decide(answer(p, proposal.Rejected)); !errors.Is(err, proposal.ErrDecided) {
		t.Errorf("a second decision: %v", err)
	}
	if _, err := q.bundle.Wait(soon(t), p.ID); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a decision that is not in force was told: %v", err)
	}
	if err := q.operator.Confirm(p.ID); err != nil {
		t.Fatal(err)
	}
	r, err := q.bundle.Wait(t.Context(), p.ID)
	if err != nil || r.Status != proposal.Approved || r.Notes != "fine" {
		t.Fatalf("answer %+v, %v", r, err)
	}
	if err := q.operator.Decide(answer(p, proposal.Rejected)); !errors.Is(err, proposal.ErrAnswered) {
		t.Errorf("a decision after the answer: %v", err)
	}
	told := 0
	for range 2 {
		if err := q.bundle.Deliver(p.ID, func(proposal.Entry) error { told++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if told != 1 {
		t.Errorf("delivered %d times", told)
	}
	if e, err := q.bundle.Get(p.ID); err != nil || e.Response == nil {
		t.Errorf("a delivered proposal is not found: %v", err)
	}
	if entries, _, _ := q.operator.List(); len(entries) != 0 {
		t.Error("a delivered proposal is still listed")
	}
	if again := ask(t, q.bundle, "docs.example", "to read the manual"); again.ID != p.ID {
		t.Error("an answer that may have got lost was not found by asking in the same words")
	}
	if again := ask(t, q.bundle, "docs.example", "for another reason"); again.ID == p.ID {
		t.Error("a new request got an old answer")
	}
}

func TestRollBackOpensTheProposalAgain(t *testing.T) {
	q := newPair(t, nil)
	p := ask(t, q.bundle, "docs.example", "why")
	if err := errors.Join(q.operator.Decide(answer(p, proposal.Approved)), q.operator.RollBack(p.ID)); err != nil {
		t.Fatal(err)
	}
	if err := q.operator.Confirm(p.ID); err == nil {
		t.Error("a decision that was taken back could be confirmed")
	}
	decide(t, q.operator, answer(p, proposal.Rejected))
	if r, err := q.bundle.Wait(t.Context(), p.ID); err != nil || r.Status != proposal.Rejected {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAnswersThatAreNotOfTheProposal(t *testing.T) {
	type forge func(path string, right []byte) error
	text := func(change func(string) string) forge {
		return func(path string, right []byte) error {
			return os.WriteFile(path, []byte(change(string(right))), 0o600)
		}
	}
	set := func(key string, value any) forge {
		return text(func(right string) string {
			var fields map[string]any
			if err := json.Unmarshal([]byte(right), &fields); err != nil {
				t.Fatal(err)
			}
			fields[key] = value
			changed, _ := json.Marshal(fields)
			return string(changed)
		})
	}
	for name, put := range map[string]forge{
		"review of another": set("review", strings.Repeat("ab", 32)),
		"no review":         set("review", ""),
		"another's id":      set("proposal_id", "00000000000000000z"),
		"pending":           set("status", "pending"),
		"unknown status":    set("status", "granted"),
		"negative uses":     set("uses", -1),
		"unknown field":     set("force", true),
		"too large":         set("notes", strings.Repeat("n", 70_000)),
		"half-written":      text(func(right string) string { return right[:60] }),
		"empty":             text(func(string) string { return "" }),
		"two values":        text(func(right string) string { return right + "{}" }),
		"a link": func(path string, right []byte) error {
			return errors.Join(os.WriteFile(path+".real", right, 0o600), os.Symlink(path+".real", path))
		},
		"a device": func(path string, _ []byte) error { return os.Symlink("/dev/zero", path) },
		"a pipe":   func(path string, _ []byte) error { return syscall.Mkfifo(path, 0o600) },
		"a folder": func(path string, _ []byte) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newPair(t, nil)
			p := ask(t, q.bundle, "a.example", "why")
			path := filepath.Join(q.dir, p.ID+".response.json")
			right, err := json.Marshal(answer(p, proposal.Approved))
			if err != nil {
				t.Fatal(err)
			}
			if err := put(path, right); err != nil {
				t.Fatal(err)
			}
			if r, err := q.bundle.Wait(soon(t), p.ID); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("obeyed: %+v, %v", r, err)
			}
			if problems := q.problems(); len(problems) != 1 {
				t.Errorf("reported %v", problems)
			}
			if err := errors.Join(os.Remove(path), os.WriteFile(path, right, 0o600)); err != nil {
				t.Fatal(err)
			}
			if r, err := q.bundle.Wait(t.Context(), p.ID); err != nil || r.Status != proposal.Approved {
				t.Errorf("the right answer: %+v, %v", r, err)
			}
		})
	}
}

func TestAForgedAnswerDoesNotBlockTheRightOne(t *testing.T) {
	q := newPair(t, nil)
	p := ask(t, q.bundle, "a.example", "why")
	if err := os.WriteFile(filepath.Join(q.dir, p.ID+".response.json"), []byte(`{"status":"approved"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	decide(t, q.operator, answer(p, proposal.Rejected))
	if r, err := q.bundle.Wait(t.Context(), p.ID); err != nil || r.Status != proposal.Rejected {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestProposalsThatTheOperatorMustNotSee(t *testing.T) {
	q := newPair(t, nil)
	good := ask(t, q.bundle, "good.example", "why")
	victim := ask(t, q.bundle, "victim.example", "why")
	path := filepath.Join(q.dir, victim.ID+".proposal.json")
	honest, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) string {
		out := strings.Replace(string(honest), old, new, 1)
		if out == string(honest) {
			t.Fatalf("%q not in %s", old, honest)
		}
		return out
	}
	outside := filepath.Join(t.TempDir(), "outside.json")
	if err := os.WriteFile(outside, honest, 0o600); err != nil {
		t.Fatal(err)
	}
	text := func(s string) func() error { return func() error { return os.WriteFile(path, []byte(s), 0o600) } }
	for name, put := range map[string]func() error{
		"rule changed under the review": text(replace(`"rule":{"host":"victim.example"}`, `"rule":{"host":"evil.example"}`)),
		"wildcard":                      text(replace(`"rule":{"host":"victim.example"}`, `"rule":{"host":"*.example"}`)),
		"credential in the rule":        text(replace(`"rule":{`, `"rule":{"auth":{"token_env":"EGRESS_TOKEN_1"},`)),
		"networks in the rule":          text(replace(`"rule":{`, `"rule":{"networks":["0.0.0.0/0"],`)),
		"rule spelt differently":        text(replace(`"rule":{"host":"victim.example"}`, `"rule":{"host":"VICTIM.example"}`)),
		"justification changed":         text(replace(`"justification":"why"`, `"justification":"why not"`)),
		"terminal sequence":             text(replace(`"justification":"why"`, `"justification":"\u001b[2Jwhy"`)),
		"another bottle's":              text(replace(slug, "other-abc12")),
		"another's id":                  text(replace(`"id":"`+victim.ID, `"id":"`+good.ID)),
		"unknown kind":                  text(replace(`"kind":"egress-block"`, `"kind":"root-shell"`)),
		"unknown field":                 text(replace(`{`, `{"apply":true,`)),
		"half-written":                  text(string(honest[:len(honest)/2])),
		"deep":                          text(strings.Repeat("[", 60_000)),
		"a symbolic link":               func() error { return os.Symlink(outside, path) },
		"a pipe":                        func() error { return syscall.Mkfifo(path, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := errors.Join(os.Remove(path), put()); err != nil {
				t.Fatal(err)
			}
			entries, problems, err := q.operator.List()
			if err != nil || len(entries) != 1 || entries[0].ID != good.ID || len(problems) != 1 {
				t.Errorf("sees %d entries, problems %v, %v", len(entries), problems, err)
			}
			if err := q.operator.Decide(answer(victim, proposal.Approved)); err == nil {
				t.Error("could be approved")
			}
		})
	}
	if err := errors.Join(os.Remove(path), os.WriteFile(path, honest, 0o600)); err != nil {
		t.Fatal(err)
	}
	if entries, problems, err := q.operator.List(); err != nil || len(entries) != 2 || len(problems) != 0 {
		t.Errorf("the honest proposal: %d entries, problems %v, %v", len(entries), problems, err)
	}
}

func TestTheFolderMustBeNoLink(t *testing.T) {
	q := newPair(t, nil)
	link := filepath.Join(t.TempDir(), "queue")
	if err := os.Symlink(q.dir, link); err != nil {
		t.Fatal(err)
	}
	if _, err := proposal.Open(link, slug); err == nil {
		t.Error("a link was followed")
	}
}

func TestTwentyOpen(t *testing.T) {
	q := newPair(t, nil)
	second, err := proposal.Create(q.dir, proposal.Options{Slug: slug})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	var wg sync.WaitGroup
	var mu sync.Mutex
	filed, full := 0, 0
	for i, one := range []*proposal.Queue{q.bundle, second, q.bundle, second} {
		wg.Go(func() {
			for n := range 50 {
				draft, err := proposal.AskEgress(fmt.Sprintf("h%d-%d.example", i, n), nil, nil, "why")
				if err != nil {
					t.Error(err)
				}
				_, ok, err := one.Add(draft)
				mu.Lock()
				switch {
				case ok:
					filed++
				case errors.Is(err, proposal.ErrFull):
					full++
				default:
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	entries, _, err := q.operator.List()
	if err != nil || len(entries) != 20 || filed != 20 || full != 180 {
		t.Fatalf("%d open, %d filed, %d refused, %v", len(entries), filed, full, err)
	}
	decide(t, q.operator, answer(entries[0].Proposal, proposal.Rejected))
	ask(t, q.bundle, "one-more.example", "there is room again")
}

func TestExpire(t *testing.T) {
	now := time.Now()
	q := newPair(t, func() time.Time { return now })
	old, underway, answered := ask(t, q.bundle, "a.example", "why"), ask(t, q.bundle, "b.example", "why"), ask(t, q.bundle, "c.example", "why")
	decide(t, q.operator, answer(answered, proposal.Approved))
	if err := q.operator.Decide(answer(underway, proposal.Approved)); err != nil {
		t.Fatal(err)
	}
	now = now.Add(proposal.Lifetime + time.Minute)
	young := ask(t, q.bundle, "d.example", "why")
	expired, err := q.bundle.Expire(now.Add(-proposal.Lifetime), "nobody answered")
	if err != nil || len(expired) != 1 || expired[0].ID != old.ID {
		t.Fatalf("expired %v, %v", expired, err)
	}
	if r, err := q.bundle.Wait(t.Context(), old.ID); err != nil || r.Status != proposal.Expired {
		t.Errorf("%+v, %v", r, err)
	}
	if err := q.operator.Decide(answer(old, proposal.Approved)); !errors.Is(err, proposal.ErrAnswered) {
		t.Errorf("an expired proposal could be approved: %v", err)
	}
	if err := q.operator.Confirm(underway.ID); err != nil {
		t.Errorf("a decision on its way was lost: %v", err)
	}
	if e, err := q.bundle.Get(answered.ID); err != nil || e.Response == nil || e.Response.Status != proposal.Approved {
		t.Errorf("an answer that nobody fetched was lost: %+v, %v", e, err)
	}
	if expired, err := q.bundle.Expire(now.Add(time.Hour), "the bottle ended"); err != nil || len(expired) != 1 || expired[0].ID != young.ID {
		t.Errorf("at the bottle's end: %v, %v", expired, err)
	}
}

func TestRedaction(t *testing.T) {
	const secret = "hunter2-hunter2"
	q, err := proposal.Create(filepath.Join(t.TempDir(), "q"), proposal.Options{Slug: slug, Redact: func(s string) string {
		return strings.ReplaceAll(s, secret, "[redacted]")
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	p := ask(t, q, "a.example", "with "+secret)
	if whole, _ := json.Marshal(p); strings.Contains(string(whole), secret) || !strings.Contains(p.Justification, "[redacted]") {
		t.Errorf("stored: %s", whole)
	}
	draft, err := proposal.AskEgress("a.example", nil, []string{"/" + secret}, "why")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := q.Add(draft); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a secret in the rule: %v", err)
	}
}
