package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/claude-bottle/claude-bottle/proposal"
)

// Answer is the structured result of every tool that asks.
type Answer struct {
	Status     proposal.Status `json:"status" jsonschema:"approved and modified are in force now; pending means nobody answered yet"`
	ProposalID string          `json:"proposal_id" jsonschema:"for check-proposal; empty when nothing had to be asked"`
	Notes      string          `json:"notes" jsonschema:"what the operator or this server has to say"`
}

const (
	progressInterval = 10 * time.Second
	// quietWait bounds the wait of a call that cannot be told of progress:
	// clients give up on a silent call after a minute.
	quietWait = 45 * time.Second
	// maxWait bounds what check-proposal may wait for.
	maxWait  = 4 * time.Minute
	maxNotes = 4000
)

// ask files a draft and waits for its answer.
func (r *Role) ask(ctx context.Context, call mcp.CallToolRequest, draft proposal.Draft) (*mcp.CallToolResult, error) {
	p, _, err := r.queue.Add(draft)
	if err != nil {
		return r.refusal(err), nil
	}
	return r.await(ctx, call, p.ID, r.c.Wait)
}

// await answers with what the operator says within wait. ctx is only asked
// whether the client is still there: its end withdraws nothing, and a client
// that takes up the stream again finds the answer on it.
func (r *Role) await(ctx context.Context, call mcp.CallToolRequest, id string, wait time.Duration) (*mcp.CallToolResult, error) {
	e, err := r.queue.Get(id)
	if err != nil {
		return r.refusal(err), nil
	}
	if e.Response != nil {
		return r.deliver(ctx, e)
	}
	select {
	case r.waiters <- struct{}{}:
		defer func() { <-r.waiters }()
	default:
		wait = 0
	}
	life, ok := ctx.Value(lifeKey{}).(context.Context)
	if !ok {
		return r.refusal(errors.New("this server is not running")), nil
	}
	t := teller{call: call, start: time.Now(), ctx: ctx}
	if t.silent() {
		wait = min(wait, quietWait)
	}
	deadline := time.Now().Add(wait)
	for left := wait; left > 0 && life.Err() == nil; left = time.Until(deadline) {
		t.tell(fmt.Sprintf("proposal %s waits for the operator", id))
		look, cancel := context.WithTimeout(life, min(left, r.c.Progress))
		_, err := r.queue.Wait(look, id)
		cancel()
		if err == nil {
			if e, err = r.queue.Get(id); err != nil {
				return r.refusal(err), nil
			}
			return r.deliver(ctx, e)
		}
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			return r.refusal(err), nil
		}
	}
	return answered(Answer{proposal.Pending, id,
		"The operator has not answered yet. Go on with other work and call check-proposal with this proposal_id later; the proposal stays."}), nil
}

// deliver tells an answer. Only when the client is there to hear it does it
// count as delivered.
func (r *Role) deliver(ctx context.Context, e proposal.Entry) (*mcp.CallToolResult, error) {
	if ctx.Err() == nil {
		err := r.queue.Deliver(e.ID, func(e proposal.Entry) error {
			return r.record(e.Proposal, string(e.Response.Status), e.Response)
		})
		if err != nil {
			return r.refusal(err), nil
		}
	}
	notes := r.shown(e.Response.Notes)
	if e.Response.Expires != nil {
		notes += fmt.Sprintf(" (until %s)", e.Response.Expires.UTC().Format(time.RFC3339))
	}
	if e.Response.Uses > 0 {
		notes += fmt.Sprintf(" (for %d requests)", e.Response.Uses)
	}
	return answered(Answer{e.Response.Status, e.ID, notes}), nil
}

// shown is an operator's text, fit for agent and log.
func (r *Role) shown(text string) string { return proposal.Clean(r.c.Scanner.Redact(text), maxNotes) }

func answered(a Answer) *mcp.CallToolResult {
	text, err := json.Marshal(a)
	if err != nil {
		return mcp.NewToolResultError(err.Error())
	}
	return mcp.NewToolResultStructured(a, string(text))
}

// refusal is an error that the model reads and can act on.
func (r *Role) refusal(err error) *mcp.CallToolResult {
	return mcp.NewToolResultError(r.c.Scanner.Redact(err.Error()))
}

// teller keeps a waiting call's client informed.
type teller struct {
	ctx   context.Context
	call  mcp.CallToolRequest
	start time.Time
}

func (t teller) token() mcp.ProgressToken {
	if t.call.Params.Meta == nil {
		return nil
	}
	return t.call.Params.Meta.ProgressToken
}

// silent reports whether the client can be told nothing while it waits: from
// 2026-07-28 on, only what a request asks for may be sent.
func (t teller) silent() bool {
	info := server.RequestProtocolInfoFromContext(t.ctx)
	return t.token() == nil && info != nil && info.Modern && info.LogLevel == ""
}

// tell sends progress where the client asked for it, else a log message. Either
// opens the call's stream. A client that is gone misses nothing it needs.
func (t teller) tell(message string) {
	if t.silent() {
		return
	}
	method, params := "notifications/message", map[string]any{"level": "info", "logger": roleName, "data": message}
	if token := t.token(); token != nil {
		method = "notifications/progress"
		params = map[string]any{"progressToken": token, "progress": time.Since(t.start).Seconds(), "message": message}
	}
	_ = server.ServerFromContext(t.ctx).SendNotificationToClient(t.ctx, method, params)
}
