package supervise_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/roles/supervise"
)

const slug = "demo-abc12"

// setting is a running role with its queue's other end.
type setting struct {
	t              *testing.T
	addr, dir, log string
	operator       *proposal.Queue
	stop           func()
}

// start runs a role on dir, which may hold a queue already.
func start(t *testing.T, dir string, change func(*supervise.Config)) *setting {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &setting{t: t, addr: l.Addr().String(), dir: filepath.Join(dir, "queue"), log: filepath.Join(dir, "audit.jsonl")}
	log, err := audit.Open(s.log, audit.Options{Slug: slug})
	if err != nil {
		t.Fatal(err)
	}
	c := supervise.Config{Listeners: []net.Listener{l}, Queue: s.dir, Wait: time.Minute, Slug: slug, Version: "test", Audit: log}
	if change != nil {
		change(&c)
	}
	role, err := supervise.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if s.operator, err = proposal.Open(s.dir, slug); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- role.Run(ctx) }()
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := errors.Join(<-ended, log.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(s.stop)
	return s
}

// client is a real MCP client that is not of the server's making.
func (s *setting) client(options *mcp.ClientOptions) *mcp.ClientSession {
	s.t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, options)
	session, err := client.Connect(s.t.Context(), &mcp.StreamableClientTransport{Endpoint: "http://" + s.addr + "/mcp"}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { session.Close() })
	return session
}

// call makes a tool call that must not be an error.
func (s *setting) call(session *mcp.ClientSession, tool string, arguments map[string]any) supervise.Answer {
	s.t.Helper()
	result, err := session.CallTool(s.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		s.t.Fatal(err)
	}
	if result.IsError {
		s.t.Fatalf("%s: %s", tool, text(result))
	}
	var a supervise.Answer
	into(s.t, result.StructuredContent, &a)
	return a
}

// fails makes a tool call that must be refused and returns the words.
func (s *setting) fails(session *mcp.ClientSession, tool string, arguments map[string]any) string {
	s.t.Helper()
	result, err := session.CallTool(s.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return err.Error()
	}
	if !result.IsError {
		s.t.Fatalf("%s %v was not refused: %s", tool, arguments, text(result))
	}
	return text(result)
}

func text(result *mcp.CallToolResult) string {
	var all strings.Builder
	for _, c := range result.Content {
		if t, ok := c.(*mcp.TextContent); ok {
			all.WriteString(t.Text)
		}
	}
	return all.String()
}

func into(t *testing.T, from, to any) {
	t.Helper()
	b, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(b, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// open waits until n proposals are open and returns them.
func (s *setting) open(n int) []proposal.Entry {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		all, _, err := s.operator.List()
		if err != nil {
			s.t.Fatal(err)
		}
		var open []proposal.Entry
		for _, e := range all {
			if e.Response == nil {
				open = append(open, e)
			}
		}
		if len(open) == n {
			return open
		}
		if time.Now().After(end) {
			s.t.Fatalf("%d proposals are open, not %d", len(open), n)
		}
	}
}

func answer(p proposal.Proposal, status proposal.Status) proposal.Response {
	return proposal.Response{ProposalID: p.ID, Review: p.Review, Status: status, Notes: "the operator's words", Decided: time.Now().UTC(), Operator: "me"}
}

// respond answers as the operator's CLI does.
func (s *setting) respond(p proposal.Proposal, status proposal.Status) {
	s.t.Helper()
	if err := errors.Join(s.operator.Decide(answer(p, status)), s.operator.Confirm(p.ID)); err != nil {
		s.t.Fatal(err)
	}
}

// audited counts the lines of the audit log about a proposal.
func (s *setting) audited(id, decision string) int {
	s.t.Helper()
	b, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, id) && strings.Contains(line, `"decision":"`+decision+`"`) {
			n++
		}
	}
	return n
}

// post sends one raw message. The response's body is open.
func (s *setting) post(ctx context.Context, body string, header ...string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.addr+"/mcp", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { response.Body.Close() })
	return response
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func table(t *testing.T, yaml string) func() (*routes.Table, int) {
	t.Helper()
	parsed, err := routes.Parse([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return func() (*routes.Table, int) { return parsed, 7 }
}

// write puts an answer's file where the CLI puts it.
func (s *setting) write(id string, r proposal.Response) {
	s.t.Helper()
	b, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.dir, id+".response.json.new"), b, 0o600)
	}
	if err == nil {
		err = os.Rename(filepath.Join(s.dir, id+".response.json.new"), filepath.Join(s.dir, id+".response.json"))
	}
	if err != nil {
		s.t.Fatal(err)
	}
}
