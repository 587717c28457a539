package control_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/proposal"
)

// load is what an agent has open while its policy changes.
type load struct {
	l    *lab
	ctx  context.Context
	stop context.CancelFunc
	all  sync.WaitGroup

	requests, events, echoes atomic.Int64

	mu     sync.Mutex
	failed []string
}

func (o *load) fail(format string, a ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed = append(o.failed, fmt.Sprintf(format, a...))
}

// request asks again and again, on kept connections or on new ones.
func (o *load) request(keep bool) {
	client := o.l.agent()
	client.Transport.(*http.Transport).DisableKeepAlives = !keep
	o.all.Go(func() {
		for o.ctx.Err() == nil {
			if got := o.l.get(client, "api.test", "/"); got != "hello" {
				o.fail("request: %s", got)
			}
			o.requests.Add(1)
		}
	})
}

// events reads one stream to the end of the load; no event may be missing.
func (o *load) readEvents() {
	client := o.l.agent()
	o.all.Go(func() {
		r, _ := http.NewRequestWithContext(o.ctx, http.MethodGet, o.l.url("stream.test", "/events"), nil)
		response, err := client.Do(r)
		if err != nil {
			o.fail("stream: %v", err)
			return
		}
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		for n := 0; lines.Scan(); {
			if lines.Text() == "" {
				continue
			}
			if want := fmt.Sprintf("data: %d", n); lines.Text() != want {
				o.fail("stream: %q, want %q", lines.Text(), want)
				return
			}
			n++
			o.events.Add(1)
		}
		if o.ctx.Err() == nil {
			o.fail("the stream was cut: %v", lines.Err())
		}
	})
}

// echo talks over one WebSocket to the end of the load.
func (o *load) echo() {
	client := o.l.agent()
	o.all.Go(func() {
		conn, _, err := websocket.Dial(o.ctx, strings.Replace(o.l.url("stream.test", "/echo"), "https:", "wss:", 1), &websocket.DialOptions{HTTPClient: client})
		if err != nil {
			o.fail("WebSocket: %v", err)
			return
		}
		defer conn.CloseNow()
		for n := 0; o.ctx.Err() == nil; n++ {
			word := fmt.Sprintf("word %d", n)
			err := conn.Write(o.ctx, websocket.MessageText, []byte(word))
			var got []byte
			if err == nil {
				_, got, err = conn.Read(o.ctx)
			}
			if o.ctx.Err() != nil {
				return
			}
			if err != nil || string(got) != word {
				o.fail("WebSocket: %q, %v", got, err)
				return
			}
			o.echoes.Add(1)
			time.Sleep(5 * time.Millisecond)
		}
	})
}

// TestAHundredChangesUnderLoad: no request fails, no stream is cut, and the MCP
// client that waits all the time is told on the connection that it has.
func TestAHundredChangesUnderLoad(t *testing.T) {
	l := newLab(t)
	o := &load{l: l}
	o.ctx, o.stop = context.WithCancel(t.Context())
	defer o.stop()
	o.request(true)
	o.request(false)
	o.readEvents()
	o.readEvents()
	o.echo()
	l.eventually("the load runs", func() bool { return o.requests.Load() > 0 && o.events.Load() > 1 && o.echoes.Load() > 0 })

	client := l.mcp()
	params := &mcp.CallToolParams{Name: "egress-block", Arguments: map[string]any{"host": "other.test", "justification": "I wait"}}
	params.SetProgressToken("patience")
	told := make(chan string, 1)
	go func() {
		result, err := client.session.CallTool(t.Context(), params)
		told <- fmt.Sprintf("%+v %v", result, err)
	}()
	l.eventually("the agent asks", func() bool { return len(l.waiting()) == 1 })
	asked := l.waiting()[0]
	connections := client.connections()
	eventsBefore, echoesBefore := o.events.Load(), o.echoes.Load()

	took := l.hundredChanges()

	if got := client.connections(); got != connections {
		t.Errorf("the MCP client connected %d times more", got-connections)
	}
	if _, err := l.operator().Approve(t.Context(), asked.ID, asked.Review, control.Terms{}); err != nil {
		t.Fatal(err)
	}
	if text := <-told; !strings.Contains(text, "approved") {
		t.Errorf("told %s", text)
	}
	if got := client.connections(); got != connections {
		t.Errorf("the MCP client connected %d times more for its answer", got-connections)
	}
	if o.events.Load() == eventsBefore || o.echoes.Load() == echoesBefore {
		t.Error("the streams stood still")
	}
	o.stop()
	o.all.Wait()
	if len(o.failed) > 0 {
		t.Errorf("%d failures, the first: %s", len(o.failed), o.failed[0])
	}
	slices.Sort(took)
	t.Logf("100 changes: p50 %s, worst %s; beside them %d requests, %d events, %d echoes", took[50], took[99], o.requests.Load(), o.events.Load(), o.echoes.Load())
}

// hundredChanges approves a proposal and revokes it, fifty times, and returns
// how long each took to be in force.
func (l *lab) hundredChanges() (took []time.Duration) {
	l.t.Helper()
	q, err := proposal.Create(l.dir.Queue(), proposal.Options{Slug: slug})
	if err != nil {
		l.t.Fatal(err)
	}
	defer q.Close()
	for i := range 50 {
		draft, err := proposal.AskEgress(fmt.Sprintf("host%d.test", i), nil, nil, "under load")
		if err != nil {
			l.t.Fatal(err)
		}
		p, _, err := q.Add(draft)
		if err != nil {
			l.t.Fatal(err)
		}
		start := time.Now()
		_, err = l.operator().Approve(l.t.Context(), p.ID, p.Review, control.Terms{})
		took = append(took, time.Since(start))
		if err == nil {
			start = time.Now()
			_, err = l.operator().Revoke(l.t.Context(), p.ID)
			took = append(took, time.Since(start))
		}
		if err != nil {
			l.t.Fatalf("change %d: %v", i, err)
		}
	}
	return took
}
