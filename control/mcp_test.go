package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/proposal"
)

// answer is what a tool tells an agent.
type answer struct {
	Status     proposal.Status `json:"status"`
	ProposalID string          `json:"proposal_id"`
	Notes      string          `json:"notes"`
}

// mcpClient is a real MCP client; dials counts its connections.
type mcpClient struct {
	t       *testing.T
	session *mcp.ClientSession
	mu      sync.Mutex
	dials   int
}

func (l *lab) mcp() *mcpClient {
	l.t.Helper()
	c := &mcpClient{t: l.t}
	transport := &mcp.StreamableClientTransport{
		Endpoint: "http://supervise:9100/mcp",
		HTTPClient: &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				c.mu.Lock()
				c.dials++
				c.mu.Unlock()
				return new(net.Dialer).DialContext(ctx, "unix", l.run("supervise.sock"))
			},
		}},
	}
	var err error
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	if c.session, err = client.Connect(l.t.Context(), transport, nil); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { c.session.Close() })
	return c
}

func (c *mcpClient) connections() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dials
}

// call calls a tool; an error is an answer without status.
func (c *mcpClient) call(tool string, arguments map[string]any) answer {
	result, err := c.session.CallTool(c.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return answer{Notes: err.Error()}
	}
	var a answer
	b, err := json.Marshal(result.StructuredContent)
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	if err != nil || a.Status == "" {
		return answer{Notes: fmt.Sprintf("%v %+v", err, result.Content)}
	}
	return a
}

// asking is a call that waits.
type asking struct {
	proposal.Entry
	told chan answer
}

// ask calls a tool and waits until its proposal is filed.
func (l *lab) ask(c *mcpClient, tool string, arguments map[string]any) asking {
	l.t.Helper()
	a := asking{told: make(chan answer, 1)}
	before := l.waiting()
	go func() { a.told <- c.call(tool, arguments) }()
	l.eventually("a proposal is filed", func() bool { return len(l.waiting()) > len(before) })
	all := l.waiting()
	a.Entry = all[len(all)-1]
	return a
}

func (l *lab) askHost(c *mcpClient, host string) asking {
	return l.ask(c, "egress-block", map[string]any{"host": host, "methods": []string{"GET"}, "justification": "to read " + host})
}

func (l *lab) waiting() []proposal.Entry {
	l.t.Helper()
	waiting, problems, err := control.Waiting(l.dir)
	if err != nil || len(problems) > 0 {
		l.t.Fatal(err, problems)
	}
	return waiting
}

// review is what the operator saw.
func (a asking) review() string { return a.Proposal.Review }
