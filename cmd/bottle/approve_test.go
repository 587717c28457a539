package main_test

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/backend/namespace"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/state"
)

// openProposal returns the one proposal that waits, "" while there is none.
func (s *claudeSetting) openProposal(t *testing.T, slug string) string {
	t.Helper()
	queue, err := proposal.Open(state.Home(s.home).Dir(slug).Queue(), slug)
	if err != nil {
		return "" // the bundle has not made it yet
	}
	defer queue.Close()
	entries, _, err := queue.List()
	if err != nil || len(entries) == 0 {
		return ""
	}
	return entries[0].ID
}

// approve is what `bottle proposals approve` does.
func (s *claudeSetting) approve(t *testing.T, slug, id string) {
	t.Helper()
	home := state.Home(s.home)
	b, err := namespace.New(namespace.Options{Home: home, Self: filepath.Join(programs, "bottle")}).Open(t.Context(), slug)
	if err != nil {
		t.Fatal(err)
	}
	queue, err := proposal.Open(home.Dir(slug).Queue(), slug)
	if err != nil {
		t.Fatal(err)
	}
	defer queue.Close()
	e, err := queue.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	rule, err := proposal.ParseRule(e.Kind, e.Rule)
	if err != nil {
		t.Fatal(err)
	}
	asked := rule.(*proposal.EgressRule)
	if err := queue.Decide(proposal.Response{ProposalID: id, Review: e.Review, Status: proposal.Approved, Decided: time.Now().UTC(), Operator: "test"}); err != nil {
		t.Fatal(err)
	}
	old, err := b.ReadFile(t.Context(), "routes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	changed, err := routes.Append(old, routes.Route{Host: asked.Host, Methods: asked.Methods, Grant: id})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.WriteFile(t.Context(), "routes.yaml", changed); err != nil {
		t.Fatal(err)
	}
	if err := b.Signal(t.Context(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(changed)
	for {
		report, err := b.Health(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(report), hex.EncodeToString(sum[:])) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := queue.Confirm(id); err != nil {
		t.Fatal(err)
	}
}
