package supervise_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/roles/supervise"
)

const hello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`

// session opens one as a client of before 2026-07-28 does.
func (s *setting) session() string {
	s.t.Helper()
	r := s.post(s.t.Context(), hello)
	name := r.Header.Get("Mcp-Session-Id")
	if r.StatusCode != http.StatusOK || name == "" {
		s.t.Fatalf("initialize: %s %s", r.Status, body(s.t, r))
	}
	return name
}

// ask is a raw egress-block call.
func ask(id int, host, meta string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"egress-block",%s"arguments":{"host":%q,"justification":"why"}}}`, id, meta, host)
}

// event is one server-sent event.
type event struct {
	id      string
	message struct {
		ID     *int
		Method string
		Params struct {
			ProgressToken string
			Message       string
			Data          string
		}
		Result *struct{ StructuredContent supervise.Answer }
		Error  json.RawMessage
	}
}

// events reads a stream's events one by one.
func events(t *testing.T, r *http.Response) func() event {
	t.Helper()
	if kind := r.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("%s, %s instead of a stream: %s", r.Status, kind, body(t, r))
	}
	lines := bufio.NewScanner(r.Body)
	return func() event {
		t.Helper()
		var e event
		for lines.Scan() {
			switch key, value, _ := strings.Cut(lines.Text(), ": "); key {
			case "id":
				e.id = value
			case "data":
				if err := json.Unmarshal([]byte(value), &e.message); err != nil {
					t.Fatal(err)
				}
			case "":
				return e
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return e
	}
}

func TestEveryCallHasItsOwnStreamAtOnce(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	name := s.session()
	type call struct {
		host string
		next func() event
	}
	var calls []call
	for i := range 8 {
		host := fmt.Sprintf("h%d.example", i)
		r := s.post(t.Context(), ask(i, host, fmt.Sprintf(`"_meta":{"progressToken":"t%d"},`, i)), "Mcp-Session-Id", name)
		calls = append(calls, call{host, events(t, r)}) // the stream is open before anybody answered
	}
	ids := make(map[string]proposal.Proposal)
	for _, e := range s.open(8) {
		ids[e.ID] = e.Proposal
	}
	for i, c := range calls {
		e := c.next()
		if e.message.Method != "notifications/progress" || e.message.Params.ProgressToken != fmt.Sprintf("t%d", i) || e.id == "" {
			t.Errorf("call %d began with %+v", i, e)
		}
	}
	for _, p := range ids {
		s.respond(p, proposal.Rejected)
	}
	for i, c := range calls {
		e := c.next()
		if e.message.Result == nil || *e.message.ID != i {
			t.Fatalf("call %d: %+v", i, e)
		}
		a := e.message.Result.StructuredContent
		if a.Status != proposal.Rejected || !strings.Contains(string(ids[a.ProposalID].Rule), c.host) {
			t.Errorf("call %d: %+v", i, a)
		}
	}
}

func TestACallWithoutTokenIsToldInALogMessage(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	next := events(t, s.post(t.Context(), ask(1, "h.example", ""), "Mcp-Session-Id", s.session()))
	p := s.open(1)[0].Proposal
	if e := next(); e.message.Method != "notifications/message" || !strings.Contains(e.message.Params.Data, p.ID) {
		t.Errorf("%+v", e)
	}
	s.respond(p, proposal.Approved)
	if e := next(); e.message.Result == nil || e.message.Result.StructuredContent.Status != proposal.Approved {
		t.Errorf("%+v", e)
	}
}

func TestADisconnectWithdrawsNothing(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	name := s.session()
	ctx, hangUp := context.WithCancel(t.Context())
	first := events(t, s.post(ctx, ask(1, "h.example", `"_meta":{"progressToken":"t"},`), "Mcp-Session-Id", name))()
	p := s.open(1)[0].Proposal
	hangUp()
	time.Sleep(2 * time.Second) // let the server notice
	s.respond(p, proposal.Approved)

	t.Run("the stream can be taken up again", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+"/mcp", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/event-stream")
		r.Header.Set("Mcp-Session-Id", name)
		r.Header.Set("Last-Event-ID", first.id)
		resumed, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resumed.Body.Close()
		e := events(t, resumed)()
		if e.message.Result == nil || *e.message.ID != 1 || e.message.Result.StructuredContent.Status != proposal.Approved {
			t.Errorf("%+v", e)
		}
		if n := s.audited(p.ID, "approved"); n != 0 {
			t.Errorf("an answer that may be lost counts as delivered (%d)", n)
		}
	})
	t.Run("asking again finds the answer", func(t *testing.T) {
		e := body(t, s.post(t.Context(), ask(2, "h.example", ""), "Mcp-Session-Id", s.session()))
		if !strings.Contains(e, `"approved"`) || !strings.Contains(e, p.ID) {
			t.Error(e)
		}
		if n := s.audited(p.ID, "approved"); n != 1 {
			t.Errorf("%d times in the audit log", n)
		}
	})
}

func TestAskingAgainAttachesToTheSameProposal(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	one := events(t, s.post(t.Context(), ask(1, "h.example", ""), "Mcp-Session-Id", s.session()))
	two := events(t, s.post(t.Context(), ask(1, "H.example.", ""), "Mcp-Session-Id", s.session()))
	one()
	two()
	s.respond(s.open(1)[0].Proposal, proposal.Modified)
	for _, next := range []func() event{one, two} {
		if e := next(); e.message.Result == nil || e.message.Result.StructuredContent.Status != proposal.Modified {
			t.Errorf("%+v", e)
		}
	}
}

func TestBothErasOfTheProtocol(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	for _, version := range []string{"2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"} {
		t.Run(version, func(t *testing.T) {
			client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
			session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: "http://" + s.addr}, &mcp.ClientSessionOptions{ProtocolVersion: version})
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			if got := session.InitializeResult().ProtocolVersion; got != version {
				t.Fatalf("speaks %s", got)
			}
			done := make(chan supervise.Answer)
			go func() {
				done <- s.call(session, "egress-block", map[string]any{"host": version + ".example", "justification": "why"})
			}()
			s.respond(s.open(1)[0].Proposal, proposal.Approved)
			if a := <-done; a.Status != proposal.Approved {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestAForgedAnswerIsNotDelivered(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	next := events(t, s.post(t.Context(), ask(1, "a.example", ""), "Mcp-Session-Id", s.session()))
	other := events(t, s.post(t.Context(), ask(1, "b.example", ""), "Mcp-Session-Id", s.session()))
	open := s.open(2)
	s.write(open[1].ID, answer(open[0].Proposal, proposal.Approved)) // the approval of a, replayed for b
	s.write(open[0].ID, answer(open[0].Proposal, proposal.Approved))
	next()
	if e := next(); e.message.Result == nil || e.message.Result.StructuredContent.Status != proposal.Approved {
		t.Errorf("the right answer: %+v", e)
	}
	other()
	for end := time.Now().Add(time.Minute / 2); s.audited(open[1].ID, "refused") == 0 && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	s.stop()
	if e := other(); e.message.Result == nil || e.message.Result.StructuredContent.Status != proposal.Pending {
		t.Errorf("the replayed answer: %+v", e)
	}
	if n := s.audited(open[1].ID, "refused"); n != 1 {
		t.Errorf("the forgery is %d times in the audit log", n)
	}
}
