// Package proposal is the queue between an agent that asks and an operator who
// answers: one file a proposal, one file an answer.
package proposal

import (
	"encoding/json"
	"time"
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
	Rule          json.RawMessage `json:"rule"`
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
