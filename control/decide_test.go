package control_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// recorded returns the operator's audit lines with an action, as "decision what".
func (l *lab) recorded(action string) []string {
	l.t.Helper()
	var found []string
	err := audit.Read(l.home.OperatorLog(), func(e audit.Entry) error {
		if e.Action == action {
			found = append(found, e.Decision+" "+string(e.Detail))
		}
		return nil
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		l.t.Fatal(err)
	}
	return found
}

func TestApproveReachesBothFilters(t *testing.T) {
	l := newLab(t)
	client, agent := l.mcp(), l.agent()
	if got := l.get(agent, "new.test", "/"); got == "hello" {
		t.Fatal("reached before anybody approved it")
	}
	asked := l.ask(client, "egress-block", map[string]any{"host": "new.test", "paths": []string{"/docs"}, "justification": "the manual"})
	before := l.read(l.dir.Pipelock())

	seen, err := l.operator().Review(t.Context(), asked.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(seen.Diff, "+- host: new.test") || seen.Host != "new.test" || seen.Justification != "the manual" {
		t.Errorf("shown: %+v", seen)
	}
	out, err := l.operator().Approve(t.Context(), asked.ID, asked.review(), control.Terms{Notes: "be quick"})
	if err != nil {
		t.Fatal(err)
	}
	told := <-asked.told
	if told.Status != proposal.Approved || !strings.Contains(told.Notes, "in force: new.test under /docs; be quick") {
		t.Errorf("told %+v", told)
	}
	if out.Generation != l.health().Roles["egress"].Generation || !strings.Contains(out.Diff, "grant: "+asked.ID) {
		t.Errorf("outcome %+v", out)
	}
	l.wantHosts("new.test")
	if after := l.read(l.dir.Pipelock()); after != strings.Replace(before, "- stream.test\n", "- stream.test\n- new.test\n", 1) {
		t.Errorf("pipelock.yaml changed beyond its list:\n%s", control.Diff("before", []byte(before), "after", []byte(after)))
	}
	if !strings.HasPrefix(l.read(l.dir.Routes()), "# the operator's own words\n") {
		t.Error("the comment is gone")
	}
	if changes := l.recorded("change"); len(changes) != 1 || !strings.HasPrefix(changes[0], "in force") || !strings.Contains(changes[0], asked.ID) {
		t.Errorf("recorded: %q", changes)
	}
	if decisions := l.recorded("decision"); len(decisions) != 1 || !strings.HasPrefix(decisions[0], "approved") {
		t.Errorf("recorded: %q", decisions)
	}
	if control.Unfinished(l.dir) {
		t.Error("something is left unfinished")
	}
}

func TestModifyGrantsTheOperatorsRule(t *testing.T) {
	l := newLab(t)
	asked := l.ask(l.mcp(), "pipelock-block", map[string]any{"failed_url": "https://new.test/all?x", "justification": "why"})
	route := l.route("new.test")
	route.Paths = []string{"/docs"}
	if _, err := l.operator().Modify(t.Context(), asked.ID, asked.review(), route, control.Terms{Uses: 2}); err != nil {
		t.Fatal(err)
	}
	if told := <-asked.told; told.Status != proposal.Modified || !strings.Contains(told.Notes, "under /docs") || !strings.Contains(told.Notes, "2 requests") {
		t.Errorf("told %+v", told)
	}
	agent := l.agent()
	for _, c := range []struct{ path, want string }{
		{"/docs/a", "hello"}, {"/other", "path"}, {"/docs/b", "hello"}, {"/docs/c", "grant-expired"},
	} {
		if got := l.get(agent, "new.test", c.path); got != c.want {
			t.Errorf("%s: %s, want %s", c.path, got, c.want)
		}
	}
	grants, err := l.operator().Grants(t.Context())
	if err != nil || len(grants) != 1 || grants[0].ID != asked.ID || grants[0].Left != 0 || grants[0].Uses != 2 || !grants[0].Ended {
		t.Errorf("grants %+v, %v", grants, err)
	}
}

// TestAGrantEnds: one that is over when it comes into force, beside one that
// lasts.
func TestAGrantEnds(t *testing.T) {
	l := newLab(t)
	client := l.mcp()
	earlier := control.For(l.bottle(), control.Options{Home: l.home, Slug: slug, Now: func() time.Time {
		return time.Now().Add(-time.Hour)
	}})
	var ids []string
	for host, o := range map[string]*control.Operator{"new.test": earlier, "other.test": l.operator()} {
		asked := l.askHost(client, host)
		if _, err := o.Modify(t.Context(), asked.ID, asked.review(), l.route(host), control.Terms{For: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if told := <-asked.told; told.Status != proposal.Modified || !strings.Contains(told.Notes, "(until 20") {
			t.Errorf("told %+v", told)
		}
		ids = append(ids, asked.ID)
	}
	response, err := l.agent().Get(l.url("new.test", "/"))
	if err == nil {
		response.Body.Close()
		t.Error("reached after its end")
	}
	if got := l.get(l.agent(), "other.test", "/"); got != "hello" {
		t.Errorf("one that lasts: %s", got)
	}
	grants, err := l.operator().Grants(t.Context())
	if err != nil || len(grants) != len(ids) {
		t.Fatalf("grants %+v, %v", grants, err)
	}
	for _, g := range grants {
		if g.Ended != (g.Host == "new.test") || g.Expires == nil {
			t.Errorf("grant %+v", g)
		}
	}
	if hosts, err := l.operator().Hosts(t.Context()); err != nil || strings.Join(hosts, " ") != "api.test stream.test other.test" {
		t.Errorf("hosts %q, %v", hosts, err)
	}
}

func TestRevoke(t *testing.T) {
	l := newLab(t)
	client, agent := l.mcp(), l.agent()
	for _, by := range []func(asking) string{
		func(a asking) string { return a.ID },
		func(asking) string { return "NEW.test." },
	} {
		asked := l.ask(client, "egress-block", map[string]any{"host": "new.test", "justification": "again " + by(asking{})})
		if _, err := l.operator().Modify(t.Context(), asked.ID, asked.review(), l.route("new.test"), control.Terms{}); err != nil {
			t.Fatal(err)
		}
		<-asked.told
		if got := l.get(agent, "new.test", "/"); got != "hello" {
			t.Errorf("granted: %s", got)
		}
		ends, stays := l.stream(agent, "new.test"), l.stream(agent, "api.test")
		if _, err := l.operator().Revoke(t.Context(), by(asked)); err != nil {
			t.Fatal(err)
		}
		if got := l.get(agent, "new.test", "/"); got == "hello" {
			t.Error("still reached after it was revoked")
		}
		l.eventually("the stream of the revoked grant ends", func() bool { return ends() != nil })
		for range 10 {
			if err := stays(); err != nil {
				t.Fatalf("a stream that stays allowed: %v", err)
			}
		}
		l.wantHosts()
	}
	for _, none := range []string{"api.test", "new.test", "nothing"} { // a lasting route is no grant
		if _, err := l.operator().Revoke(t.Context(), none); !errors.Is(err, control.ErrNoGrant) {
			t.Errorf("%s: %v", none, err)
		}
	}
}

// stream opens an event stream and returns what reads one line of it.
func (l *lab) stream(client *http.Client, host string) (next func() error) {
	l.t.Helper()
	response, err := client.Get(l.url(host, "/events"))
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { response.Body.Close() })
	lines := bufio.NewReader(response.Body)
	next = func() error {
		_, err := lines.ReadString('\n')
		return err
	}
	if err := next(); err != nil {
		l.t.Fatal(err)
	}
	return next
}

// TestTwoAnswersAtOnce: one of them is the answer, the other is told so.
func TestTwoAnswersAtOnce(t *testing.T) {
	l := newLab(t)
	asked := l.askHost(l.mcp(), "new.test")
	answers := make(chan error, 2)
	go func() {
		_, err := l.operator().Approve(t.Context(), asked.ID, asked.review(), control.Terms{})
		answers <- err
	}()
	go func() {
		_, err := l.operator().Reject(t.Context(), asked.ID, asked.review(), "no")
		answers <- err
	}()
	first, second := <-answers, <-answers
	if (first == nil) == (second == nil) || !errors.Is(errors.Join(first, second), proposal.ErrAnswered) {
		t.Errorf("%v, %v", first, second)
	}
	if told := <-asked.told; told.Status == proposal.Approved {
		l.wantHosts("new.test")
	} else {
		l.wantHosts()
	}
}

func TestRejectChangesNothing(t *testing.T) {
	l := newLab(t)
	asked := l.askHost(l.mcp(), "new.test")
	before := l.read(l.dir.Routes())
	if _, err := l.operator().Reject(t.Context(), asked.ID, asked.review(), "no\x1b[31m need"); err != nil {
		t.Fatal(err)
	}
	if told := <-asked.told; told.Status != proposal.Rejected || told.Notes != "no need" {
		t.Errorf("told %+v", told)
	}
	if l.read(l.dir.Routes()) != before {
		t.Error("the routes changed")
	}
	if _, err := l.operator().Approve(t.Context(), asked.ID, asked.review(), control.Terms{}); !errors.Is(err, proposal.ErrAnswered) {
		t.Errorf("a second answer: %v", err)
	}
}

func TestCapabilityIsANote(t *testing.T) {
	l := newLab(t)
	asked := l.ask(l.mcp(), "capability-block", map[string]any{"change": "more memory", "justification": "big build"})
	before := l.read(l.dir.Routes()) + "# by hand, and not in force\n" // no answer needs it to be
	l.write(l.dir.Routes(), []byte(before))
	if _, err := l.operator().Approve(t.Context(), asked.ID, asked.review(), control.Terms{Uses: 1}); !errors.Is(err, control.ErrTerms) {
		t.Errorf("once: %v", err)
	}
	if _, err := l.operator().Modify(t.Context(), asked.ID, asked.review(), routes.Route{Host: "evil.test"}, control.Terms{}); !errors.Is(err, control.ErrNothingToModify) {
		t.Errorf("modified into a route: %v", err)
	}
	if _, err := l.operator().Approve(t.Context(), asked.ID, asked.review(), control.Terms{Notes: "tomorrow"}); err != nil {
		t.Fatal(err)
	}
	if told := <-asked.told; told.Status != proposal.Approved || told.Notes != "tomorrow" {
		t.Errorf("told %+v", told)
	}
	if l.read(l.dir.Routes()) != before {
		t.Error("the routes changed")
	}
}

func TestAFindingIsClearedForItsHost(t *testing.T) {
	l := newLab(t)
	q, err := proposal.Create(l.dir.Queue(), proposal.Options{Slug: slug})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	draft, err := proposal.AskFinding(proposal.FindingRule{Host: "api.test", Rule: "generic-api-key", Fingerprint: strings.Repeat("ab", 32)}, "in a body")
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := q.Add(draft)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.operator().Approve(t.Context(), p.ID, p.Review, control.Terms{}); err != nil {
		t.Fatal(err)
	}
	table, err := routes.Parse([]byte(l.read(l.dir.Routes())))
	if err != nil {
		t.Fatal(err)
	}
	if got := table.Routes()[0].Findings; len(got) != 1 || got[0].Fingerprint != strings.Repeat("ab", 32) {
		t.Errorf("findings of api.test: %+v", got)
	}
	if e, err := q.Get(p.ID); err != nil || e.Response == nil || e.Response.Status != proposal.Approved {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := l.operator().Revoke(t.Context(), strings.Repeat("ab", 32)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(l.read(l.dir.Routes()), "abab") {
		t.Error("the finding is still cleared")
	}
	l.wantHosts()
}

// TestWhatWasShownIsWhatIsDecided: a compromised bundle changes a proposal
// after the operator saw it, forges a decision and an answer.
func TestWhatWasShownIsWhatIsDecided(t *testing.T) {
	l := newLab(t)
	asked := l.askHost(l.mcp(), "new.test")
	evil := strings.ReplaceAll(l.read(l.queued(asked.ID, "proposal")), "new.test", "evil.test")
	l.write(l.queued(asked.ID, "proposal"), []byte(evil))
	if _, err := l.operator().Approve(t.Context(), asked.ID, asked.review(), control.Terms{}); err == nil {
		t.Error("a proposal whose review is not its own was approved")
	}

	// With a review that fits, it is another proposal than the one shown.
	q, err := proposal.Create(t.TempDir(), proposal.Options{Slug: slug})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	draft, err := proposal.AskEgress("evil.test", []string{"GET"}, nil, "to read new.test")
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := q.Add(draft)
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.ReplaceAll(evil, asked.review(), other.Review)
	l.write(l.queued(asked.ID, "proposal"), []byte(forged))
	_, err = l.operator().Approve(t.Context(), asked.ID, asked.review(), control.Terms{})
	if err == nil {
		t.Error("another proposal than the one shown was approved")
	}
	l.wantHosts()
	if changes := l.recorded("change"); len(changes) != 0 {
		t.Errorf("recorded: %q", changes)
	}
}

func (l *lab) queued(id, kind string) string {
	return filepath.Join(l.dir.Queue(), id+"."+kind+".json")
}
