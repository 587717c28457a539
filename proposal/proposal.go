// Package proposal is the queue between an agent that asks and an operator who
// answers: one file a proposal, one file an answer, in a folder that both sides
// can see.
//
// The bundle opens the folder with Create, files with Queue.Add and waits with
// Queue.Wait. The operator's side opens it with Open, reads with Queue.List,
// says what it is about to do with Queue.Decide, does it, and makes it known
// with Queue.Confirm. Neither side trusts what it reads: links, odd files,
// unknown fields and wrong reviews are reported, never obeyed.
package proposal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gowebpki/jcs"
)

// Kind of a proposal.
type Kind string

// The kinds.
const (
	EgressBlock     Kind = "egress-block"
	PipelockBlock   Kind = "pipelock-block"
	CapabilityBlock Kind = "capability-block"
	GitPush         Kind = "git-push"
	FindingKind     Kind = "finding"
)

// Proposal is <id>.proposal.json.
type Proposal struct {
	ID            string          `json:"id"`
	Kind          Kind            `json:"kind"`
	Slug          string          `json:"slug"`
	Created       time.Time       `json:"created"`
	Justification string          `json:"justification"`
	Request       json.RawMessage `json:"request"`
	// Rule is what is approved, in canonical JSON; ParseRule reads it.
	Rule json.RawMessage `json:"rule"`
	// Review is the hex SHA-256 of the canonical JSON of {kind, slug, rule,
	// justification}.
	Review string `json:"review"`
}

// Status of an answer.
type Status string

// What an agent is told.
const (
	Approved Status = "approved"
	Modified Status = "modified"
	Rejected Status = "rejected"
	Pending  Status = "pending"
	Expired  Status = "expired"
)

// Response is <id>.response.json; <id>.decision.json has the same form.
type Response struct {
	ProposalID string     `json:"proposal_id"`
	Review     string     `json:"review"`
	Status     Status     `json:"status"`
	Notes      string     `json:"notes"`
	Decided    time.Time  `json:"decided"`
	Operator   string     `json:"operator"`
	Expires    *time.Time `json:"expires,omitempty"`
	Uses       int        `json:"uses,omitempty"`
}

// review computes Proposal.Review (RFC 8785 canonical JSON).
func review(kind Kind, slug string, rule json.RawMessage, justification string) (string, error) {
	canonical, err := canonicalJSON(map[string]any{
		"kind": kind, "slug": slug, "rule": rule, "justification": justification,
	})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}

// Verify reports what is wrong with a proposal that somebody else wrote. It
// holds when the kind is known, the rule is one of that kind in its normal
// form, the justification is one Clean line, and the review is of exactly this
// proposal. Request says nothing that was checked: Clean what is shown of it.
func (p Proposal) Verify() error {
	if !ValidID(p.ID) {
		return fmt.Errorf("proposal: %q is no id", Clean(p.ID, 40))
	}
	if Clean(p.Justification, maxJustification) != p.Justification {
		return fmt.Errorf("proposal %s: the justification is not fit to be shown", p.ID)
	}
	rule, err := ParseRule(p.Kind, p.Rule)
	if err != nil {
		return fmt.Errorf("proposal %s: %w", p.ID, err)
	}
	canonical, err := canonicalJSON(rule)
	if err != nil {
		return fmt.Errorf("proposal %s: %w", p.ID, err)
	}
	want, err := review(p.Kind, p.Slug, canonical, p.Justification)
	if err != nil {
		return fmt.Errorf("proposal %s: %w", p.ID, err)
	}
	if p.Review != want {
		return fmt.Errorf("proposal %s: the review is not of this proposal", p.ID)
	}
	return nil
}

// verify reports what is wrong with an answer to p.
func (r Response) verify(p Proposal) error {
	switch {
	case r.ProposalID != p.ID:
		return fmt.Errorf("answer to %s: it names another proposal", p.ID)
	case r.Review != p.Review:
		return fmt.Errorf("answer to %s: its review is not of this proposal", p.ID)
	case r.Uses < 0:
		return fmt.Errorf("answer to %s: uses cannot be %d", p.ID, r.Uses)
	}
	switch r.Status {
	case Approved, Modified, Rejected, Expired:
		return nil
	}
	return fmt.Errorf("answer to %s: %q is no status of an answer", p.ID, Clean(string(r.Status), 40))
}

func canonicalJSON(v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("canonical JSON: %w", err)
	}
	canonical, err := jcs.Transform(plain)
	if err != nil {
		return nil, fmt.Errorf("canonical JSON: %w", err)
	}
	return canonical, nil
}

const (
	idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	idLength   = 18
)

// newID is 45 bits of milliseconds and 45 random bits, five bits a character:
// sorted by time, not to be guessed, fit for a file name.
func newID(now time.Time) string {
	id := make([]byte, idLength)
	random := make([]byte, idLength/2)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	ms := uint64(now.UnixMilli())
	for i := range idLength / 2 {
		id[i] = idAlphabet[ms>>(5*(idLength/2-1-i))&31]
		id[idLength/2+i] = idAlphabet[random[i]&31]
	}
	return string(id)
}

// ValidID reports whether id has the form of a proposal's id.
func ValidID(id string) bool {
	if len(id) != idLength {
		return false
	}
	for i := range len(id) {
		if c := id[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'z') {
			return false
		}
	}
	return true
}
