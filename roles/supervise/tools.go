package supervise

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/claude-bottle/claude-bottle/proposal"
)

const instructions = `You work in a bottle: only listed hosts can be reached, through the proxy.
When a request is refused with 403 and "error":"blocked", and you need it, ask the human operator with egress-block.
Ask for as little as you need: one exact host, and only the methods and paths you use.
An answer of "pending" means that nobody decided yet: do other work and call check-proposal later.
"rejected" is a decision: do not look for a way around it.`

// tools are the five tools, under the names that agents are told.
func (r *Role) tools() []server.ServerTool {
	why := mcp.WithString("justification", mcp.Required(), mcp.MinLength(1), mcp.MaxLength(8000),
		mcp.Description("why you need this, in one or two sentences for a human"))
	asks := []mcp.ToolOption{why, mcp.WithOutputSchema[Answer](), mcp.WithSchemaAdditionalProperties(false),
		mcp.WithReadOnlyHintAnnotation(false), mcp.WithDestructiveHintAnnotation(false),
		mcp.WithIdempotentHintAnnotation(true), mcp.WithOpenWorldHintAnnotation(false)}
	reads := []mcp.ToolOption{mcp.WithSchemaAdditionalProperties(false), mcp.WithReadOnlyHintAnnotation(true),
		mcp.WithOpenWorldHintAnnotation(false)}
	tool := func(name, description string, handler server.ToolHandlerFunc, options ...mcp.ToolOption) server.ServerTool {
		return server.ServerTool{Tool: mcp.NewTool(name, append(options, mcp.WithDescription(description))...), Handler: handler}
	}
	return []server.ServerTool{
		tool("egress-block", "Ask the operator to allow a host that the proxy refused. Waits a while for the answer; the same request again is the same proposal.",
			r.egressBlock, append(asks,
				mcp.WithString("host", mcp.Required(), mcp.MaxLength(253),
					mcp.Description("one exact host name, such as api.example.com: no scheme, port, path or wildcard")),
				mcp.WithArray("methods", mcp.MaxItems(16), mcp.WithStringItems(),
					mcp.Description("HTTP methods you need, such as GET; absent means the default methods")),
				mcp.WithArray("paths", mcp.MaxItems(32), mcp.WithStringItems(),
					mcp.Description("path prefixes of whole segments, such as /org/repo; absent means every path")))...),
		tool("pipelock-block", "Ask the operator to allow the host of an https URL that failed behind the proxy. Waits a while for the answer.",
			r.pipelockBlock, append(asks, mcp.WithString("failed_url", mcp.Required(), mcp.MaxLength(8000),
				mcp.Description("the https:// URL that failed, without user name or password")))...),
		tool("capability-block", "Tell the operator about anything else you lack: a tool, a mount, a permission. An approval is a note to you; nothing changes by itself.",
			r.capabilityBlock, append(asks, mcp.WithString("change", mcp.Required(), mcp.MinLength(1), mcp.MaxLength(8000),
				mcp.Description("what should be different")))...),
		tool("list-egress-routes", "List the hosts, ports, methods and paths that can be reached now.",
			r.listEgressRoutes, append(reads, mcp.WithOutputSchema[routeList]())...),
		tool("check-proposal", "Look whether the operator answered a proposal, waiting for it if you like.",
			r.checkProposal, append(reads, mcp.WithOutputSchema[Answer](),
				mcp.WithString("proposal_id", mcp.Required(), mcp.MaxLength(64), mcp.Description("from an earlier answer")),
				mcp.WithInteger("wait_seconds", mcp.Min(0), mcp.Max(int(maxWait/time.Second)),
					mcp.Description("how long to wait for an answer; absent or 0 answers at once")))...),
	}
}

// arguments reads a call's arguments strictly.
func arguments(call mcp.CallToolRequest, into any) error {
	raw, err := json.Marshal(call.Params.Arguments)
	if err != nil {
		return fmt.Errorf("arguments: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("arguments: %w", err)
	}
	return nil
}

func (r *Role) egressBlock(ctx context.Context, call mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	var in struct {
		Host          string   `json:"host"`
		Methods       []string `json:"methods"`
		Paths         []string `json:"paths"`
		Justification string   `json:"justification"`
	}
	if err := arguments(call, &in); err != nil {
		return r.refusal(err), nil
	}
	draft, err := proposal.AskEgress(in.Host, in.Methods, in.Paths, in.Justification)
	if err != nil {
		return r.refusal(err), nil
	}
	if done := r.known(draft); done != nil {
		return done, nil
	}
	return r.ask(ctx, call, draft)
}

func (r *Role) pipelockBlock(ctx context.Context, call mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	var in struct {
		FailedURL     string `json:"failed_url"`
		Justification string `json:"justification"`
	}
	if err := arguments(call, &in); err != nil {
		return r.refusal(err), nil
	}
	draft, err := proposal.AskPipelock(in.FailedURL, in.Justification)
	if err != nil {
		return r.refusal(err), nil
	}
	if done := r.known(draft); done != nil {
		return done, nil
	}
	return r.ask(ctx, call, draft)
}

func (r *Role) capabilityBlock(ctx context.Context, call mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	var in struct {
		Change        string `json:"change"`
		Justification string `json:"justification"`
	}
	if err := arguments(call, &in); err != nil {
		return r.refusal(err), nil
	}
	draft, err := proposal.AskCapability(in.Change, in.Justification)
	if err != nil {
		return r.refusal(err), nil
	}
	return r.ask(ctx, call, draft)
}

func (r *Role) checkProposal(ctx context.Context, call mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	var in struct {
		ProposalID  string  `json:"proposal_id"`
		WaitSeconds float64 `json:"wait_seconds"`
	}
	if err := arguments(call, &in); err != nil {
		return r.refusal(err), nil
	}
	wait := time.Duration(min(max(in.WaitSeconds, 0), maxWait.Seconds()) * float64(time.Second))
	return r.await(ctx, call, in.ProposalID, wait)
}
