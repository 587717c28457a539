package main_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/proposal"
)

// TestTheCommandIsKilled kills `bottle proposals approve` at twelve moments of
// its short life. Whatever it was doing, the next command of any kind leaves the
// proposal either open, with nothing changed, or approved and in force, and the
// agent's queue never has an answer that is not in force.
func TestTheCommandIsKilled(t *testing.T) {
	b := startBottle(t, "killed")
	ended := map[bool]int{}
	for round := range 12 {
		p := b.file("new.test")
		cmd := b.command("proposals", "approve", p.ID)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Duration(round*round)*4*time.Millisecond, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		if b.answer(p.ID) == proposal.Approved && !b.allowed("new.test") {
			t.Fatalf("round %d: approved and not in force", round)
		}
		b.run("ls")
		if control.Unfinished(b.dir()) {
			t.Fatalf("round %d: something is left half done", round)
		}
		approved := b.answer(p.ID) == proposal.Approved
		if b.allowed("new.test") != approved || approved == (len(b.waiting()) == 1) {
			t.Fatalf("round %d: approved %v, allowed %v, waiting %d", round, approved, b.allowed("new.test"), len(b.waiting()))
		}
		ended[approved]++
		if !approved {
			b.run("proposals", "approve", p.ID)
		}
		b.run("revoke", b.slug, p.ID)
		b.deliver(p.ID)
	}
	t.Logf("approved %d times, open %d times", ended[true], ended[false])
}

// answer is the answer in force, "" for none.
func (b *liveBottle) answer(id string) proposal.Status {
	b.t.Helper()
	q, err := proposal.Open(b.dir().Queue(), b.slug)
	if err != nil {
		b.t.Fatal(err)
	}
	defer q.Close()
	e, err := q.Get(id)
	if err != nil {
		b.t.Fatal(err)
	}
	if e.Response == nil {
		return ""
	}
	return e.Response.Status
}

// deliver takes an answer out of the way, as the MCP server does that told it.
func (b *liveBottle) deliver(id string) {
	b.t.Helper()
	q, err := proposal.Create(b.dir().Queue(), proposal.Options{Slug: b.slug})
	if err != nil {
		b.t.Fatal(err)
	}
	defer q.Close()
	if err := q.Deliver(id, func(proposal.Entry) error { return nil }); err != nil {
		b.t.Fatal(err)
	}
	// Asked again in the same words it would be the same proposal for a while.
	for _, kind := range []string{".proposal.json", ".response.json"} {
		if err := os.Remove(b.dir().Queue() + "/archive/" + id + kind); err != nil {
			b.t.Fatal(err)
		}
	}
}

// allowed asks what is in force.
func (b *liveBottle) allowed(host string) bool {
	b.t.Helper()
	var hosts []string
	if err := json.Unmarshal([]byte(b.run("allow", b.slug, "--json")), &hosts); err != nil {
		b.t.Fatal(err)
	}
	return strings.Contains(" "+strings.Join(hosts, " ")+" ", " "+host+" ")
}
