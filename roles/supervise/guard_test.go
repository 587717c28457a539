package supervise_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/roles/supervise"
)

func TestWhoIsServed(t *testing.T) {
	s := start(t, t.TempDir(), func(c *supervise.Config) { c.Wait = 0 })
	for _, c := range []struct {
		host, origin string
		want         int
	}{
		{s.addr, "", 200},
		{"localhost", "", 200},
		{"127.0.0.1:1", "", 200},
		{"supervise:9100", "", 200},
		{"SUPERVISE.", "", 200},
		{"claude-bottle-supervise-" + slug + ":9100", "", 200},
		{s.addr, "http://" + s.addr, 200},
		{"evil.example", "", 403},
		{"supervise.evil.example", "", 403},
		{"127.0.0.1.evil.example:9100", "", 403},
		{"claude-bottle-supervise-other:9100", "", 403},
		{"8.8.8.8", "", 403},
		{"0x7f.1", "", 403},
		{"2130706433", "", 403},
		{s.addr, "http://evil.example", 403},
		{s.addr, "https://" + s.addr, 403},
		{s.addr, "http://localhost", 403},
		{s.addr, "null", 403},
		{"evil.example", "http://evil.example", 403},
	} {
		header := []string{"Host", c.host}
		if c.origin != "" {
			header = append(header, "Origin", c.origin)
		}
		if r := s.post(t.Context(), hello, header...); r.StatusCode != c.want {
			t.Errorf("Host %s, Origin %q: %s", c.host, c.origin, r.Status)
		}
	}
	if r := s.post(t.Context(), ask(1, "a.example", ""), "Sec-Fetch-Site", "cross-site"); r.StatusCode != 403 {
		t.Errorf("a page of another site: %s", r.Status)
	}
	s.open(0)
	s.post(t.Context(), ask(1, "a.example", ""))
	s.open(1)
}

func TestOddRequests(t *testing.T) {
	s := start(t, t.TempDir(), func(c *supervise.Config) { c.Wait = 0 })
	request := func(method, path string, header ...string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	name := s.session()
	for what, got := range map[string][2]int{
		"another path":         {request("POST", "/admin"), 404},
		"a stream of its own":  {request("GET", "/mcp", "Mcp-Session-Id", name), 405},
		"an unknown event":     {request("GET", "/mcp", "Mcp-Session-Id", name, "Last-Event-ID", "77"), 400},
		"another method":       {request("PUT", "/mcp"), 405},
		"a long session":       {request("POST", "/mcp", "Mcp-Session-Id", strings.Repeat("x", 65)), 404},
		"a large body":         {s.post(t.Context(), `{"jsonrpc":"2.0","id":1,"method":"ping","x":"`+strings.Repeat("x", 256<<10)+`"}`).StatusCode, 413},
		"a body that is large": {s.post(t.Context(), `{"jsonrpc":"2.0","id":1,"method":"ping","x":"`+strings.Repeat("x", 255<<10)+`"}`).StatusCode, 200},
		"a batch":              {s.post(t.Context(), `[`+hello+`]`).StatusCode, 400},
		"no JSON":              {s.post(t.Context(), `{`).StatusCode, 400},
		"an end":               {request("DELETE", "/mcp", "Mcp-Session-Id", name), 200},
		"a restarted bundle":   {s.post(t.Context(), ask(1, "a.example", ""), "Mcp-Session-Id", "of-another-life").StatusCode, 200},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %d, not %d", what, got[0], got[1])
		}
	}
	if r := s.post(t.Context(), ask(1, "a.example", ""), "Mcp-Session-Id", name); r.StatusCode != 404 {
		t.Errorf("a session that was ended: %s", r.Status)
	}
}

func TestManySessions(t *testing.T) {
	s := start(t, t.TempDir(), func(c *supervise.Config) { c.Wait = time.Millisecond })
	resume := func(name, event string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+"/mcp", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Mcp-Session-Id", name)
		r.Header.Set("Last-Event-ID", event)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	first := s.session()
	event := events(t, s.post(t.Context(), ask(1, "a.example", ""), "Mcp-Session-Id", first))().id
	if got := resume(first, event); got != 200 {
		t.Fatalf("a stream cannot be taken up again: %d", got)
	}
	for i := range 100 {
		body(t, s.post(t.Context(), ask(1, "a.example", ""), "Mcp-Session-Id", fmt.Sprintf("session-%d", i)))
	}
	if got := resume(first, event); got != 400 {
		t.Errorf("what a session of long ago said is still kept: %d", got)
	}
	event = events(t, s.post(t.Context(), ask(1, "a.example", ""), "Mcp-Session-Id", first))().id
	if got := resume(first, event); got != 200 {
		t.Errorf("a session that was pushed out is not taken up again: %d", got)
	}
	for range 200 {
		body(t, s.post(t.Context(), ask(1, "a.example", ""), "Mcp-Session-Id", first))
	}
	if got := resume(first, event); got != 400 {
		t.Errorf("all that a busy session was ever told is kept: %d", got)
	}
	s.open(1)
}

func TestLongNamesAreNotKept(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	s.post(t.Context(), ask(1, "a.example", ""), "Mcp-Session-Id", "first")
	proposal := s.open(1)[0].ID
	check := func(session, id, token string) (status int, answer string) {
		t.Helper()
		message := fmt.Sprintf(`{"jsonrpc":"2.0",%s,"method":"tools/call","params":{"name":"check-proposal",`+
			`"arguments":{"proposal_id":%q,"wait_seconds":1},"_meta":{%s}}}`, id, proposal, token)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.addr+"/mcp", strings.NewReader(message))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		r.Header.Set("Mcp-Session-Id", session)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode, body(t, response)
	}
	long := `"` + strings.Repeat("A", 200<<10) + `"`
	longest := `"` + strings.Repeat("A", 254) + `"`
	if status, answer := check("good", `"id":`+longest, `"progressToken":`+longest); status != 200 || strings.Count(answer, longest) < 2 {
		t.Fatalf("names that are just short enough: %d %s", status, answer)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 64 {
		for _, c := range [][2]string{
			{`"id":` + long, ``},
			{`"id":"` + longest[1:], `"progressToken":` + long},
			{`"id":1,"ID":` + long, ``},
			{`"id":1`, `"progressToken":[` + long + `]`},
			{`"id":1`, `"progressToken":` + long + `,"PROGRESSTOKEN":1`},
			{`"params":{"_meta":{"progressToken":` + long + `}},"id":1`, ``},
		} {
			if status, answer := check(fmt.Sprint("made-up-", i), c[0], c[1]); status != http.StatusBadRequest || len(answer) > 200 {
				t.Fatalf("%.60s %.60s: %d %.200s", c[0], c[1], status, answer)
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 20; grown > 16 {
		t.Errorf("75 MiB of names took %d MiB", grown)
	}
	s.open(1)
}

func TestWithoutARecordNothingIsFiled(t *testing.T) {
	closed, err := audit.Open(filepath.Join(t.TempDir(), "closed.jsonl"), audit.Options{Slug: slug})
	if err == nil {
		err = closed.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, t.TempDir(), func(c *supervise.Config) { c.Wait, c.Audit = 0, closed })
	if words := s.fails(s.client(nil), "egress-block", docs); !strings.Contains(words, "audit") {
		t.Error(words)
	}
	s.open(0)
}
