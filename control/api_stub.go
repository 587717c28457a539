package control

import (
	"context"
	"errors"

	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/state"
)

var errSoon = errors.New("not yet")

func userName() string { return "operator" }

// Waiting lists a bottle's proposals that nobody answered yet, oldest first,
// without asking the bottle. problems are files in the queue that are not what
// they should be. A bottle without queue has none.
func Waiting(dir state.Dir) (waiting []proposal.Entry, problems []error, err error) {
	return nil, nil, errSoon
}

// Review reads a proposal, answered or not, against the live routes.
func (o *Operator) Review(ctx context.Context, id string) (Review, error) { return Review{}, errSoon }

// Approve applies a proposal's rule, makes sure that it is in force, and tells
// the agent. review is that of the proposal that the operator saw; another one
// is ErrReview. On an error nothing is changed and nothing is answered.
func (o *Operator) Approve(ctx context.Context, id, review string, t Terms) (Outcome, error) {
	return Outcome{}, errSoon
}

// Modify is Approve with a route of the operator's in place of the proposal's.
// The agent is told the route. Other kinds than those of routes are
// ErrNothingToModify.
func (o *Operator) Modify(ctx context.Context, id, review string, route routes.Route, t Terms) (Outcome, error) {
	return Outcome{}, errSoon
}

// Reject answers a proposal with the operator's reason; nothing is changed.
func (o *Operator) Reject(ctx context.Context, id, review, reason string) (Outcome, error) {
	return Outcome{}, errSoon
}

// Hosts is the live allowlist: the host column of the routes in force.
func (o *Operator) Hosts(ctx context.Context) ([]string, error) { return nil, errSoon }

// Allow adds a default route for each host or pattern that has no lasting one.
func (o *Operator) Allow(ctx context.Context, hosts ...string) (Outcome, error) {
	return Outcome{}, errSoon
}

// Deny removes the routes of the hosts, grants included. A host that stays
// allowed by a pattern, or that no route names, is an error.
func (o *Operator) Deny(ctx context.Context, hosts ...string) (Outcome, error) {
	return Outcome{}, errSoon
}

// EditHosts applies what an editor did to the list that Hosts gave: one host a
// line, with # comments. Changes that others made meanwhile stay.
func (o *Operator) EditHosts(ctx context.Context, before []string, edited []byte) (Outcome, error) {
	return Outcome{}, errSoon
}

// Routes is routes.yaml as it is live.
func (o *Operator) Routes(ctx context.Context) ([]byte, error) { return nil, errSoon }

// SetRoutes puts an edited routes.yaml in force. before is what was edited; when
// it is not live any more, that is ErrChanged.
func (o *Operator) SetRoutes(ctx context.Context, before, edited []byte) (Outcome, error) {
	return Outcome{}, errSoon
}

// Grants lists what proposals opened, live or ended, in file order.
func (o *Operator) Grants(ctx context.Context) ([]Grant, error) { return nil, errSoon }

// Revoke ends a grant, by its ID or by its host, which ends all of that host's.
// None is ErrNoGrant.
func (o *Operator) Revoke(ctx context.Context, grant string) (Outcome, error) {
	return Outcome{}, errSoon
}

// Unfinished tells whether a process was killed while it changed the bottle.
func Unfinished(dir state.Dir) bool { return false }

// Recover completes or takes back what a killed process left half done, and
// returns what it did in words; empty = there was nothing to do.
func (o *Operator) Recover(ctx context.Context) (done string, err error) { return "", errSoon }
