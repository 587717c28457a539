package main_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"

	"github.com/claude-bottle/claude-bottle/state"
)

// asks is an agent's MCP client: it calls one tool and prints the answer.
const asks = `
import json, sys, urllib.request
session = None
def call(method, params, **more):
    global session
    request = urllib.request.Request("http://supervise:9100/mcp", json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}).encode(),
        {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **({"Mcp-Session-Id": session} if session else {})})
    answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120)
    session = answer.headers.get("Mcp-Session-Id") or session
    return answer.read().decode()
call("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "agent", "version": "1"}}, id=1)
call("notifications/initialized", {})
print(call("tools/call", {"name": sys.argv[1], "arguments": json.loads(sys.argv[2])}, id=2))
`

// supervised is a bottle in the background whose operator sits at the view.
type supervised struct {
	t          *testing.T
	home, work string
	slug       string
}

func newSupervised(t *testing.T, slug string) *supervised {
	t.Helper()
	s := &supervised{t, t.TempDir(), t.TempDir(), slug}
	if err := os.MkdirAll(filepath.Join(s.home, "bottles"), 0o700); err != nil {
		t.Fatal(err)
	}
	const file = "---\n# kept\nagent:\n  command: [sh]\nsupervise: true\negress:\n  routes:\n    - host: allowed.example\n---\nKept.\n"
	if err := os.WriteFile(filepath.Join(s.home, "bottles", "dev.md"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run("up", "-d", "--bottle", "dev", "--label", slug, "--", "sleep", "600")
	t.Cleanup(func() { _ = s.command("down", slug).Run() })
	return s
}

func (s *supervised) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(programs, "bottle"), args...)
	cmd.Dir = s.work
	cmd.Env = append(os.Environ(), "CLAUDE_BOTTLE_HOME="+s.home, "CLAUDE_BOTTLE_BACKEND=namespace", "TERM=xterm",
		"EGRESS_RESOLVER=127.0.0.1:1", "SUPERVISE_WAIT=60s", "VISUAL=", "EDITOR=")
	return cmd
}

func (s *supervised) run(args ...string) string {
	s.t.Helper()
	out, err := s.command(args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("bottle %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// asked files a proposal from inside and returns what the agent is told, later.
func (s *supervised) asked(tool, arguments, sees string) (told func() string) {
	s.t.Helper()
	cmd := s.command("exec", s.slug, "--", "python3", "-c", asks, tool, arguments)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.until(sees, func() string { return s.run("supervise", "--once") })
	return func() string {
		s.t.Helper()
		if err := cmd.Wait(); err != nil {
			s.t.Fatalf("the agent: %v\n%s", err, out.String())
		}
		return out.String()
	}
}

// until waits until what is seen holds a text.
func (s *supervised) until(text string, seen func() string) {
	s.t.Helper()
	var last string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if last = seen(); strings.Contains(last, text) {
			return
		}
	}
	s.t.Fatalf("%q did not appear in\n%s", text, last)
}

// view opens the view at a terminal.
func (s *supervised) view() *view {
	s.t.Helper()
	size := pty.Winsize{Rows: 24, Cols: 80}
	return &view{atTerminal(s.t, s.command("supervise"), size), s}
}

// routes is the policy in force.
func (s *supervised) routes() string {
	s.t.Helper()
	text, err := os.ReadFile(state.Home(s.home).Dir(s.slug).Routes())
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// reach is what egress answers to a CONNECT for the host.
func (s *supervised) reach(host string) string {
	out, _ := s.command("exec", s.slug, "--", "curl", "-sko", "/dev/null", "-w", "%{http_connect}", "https://"+host+"/").Output()
	return string(out)
}

type view struct {
	*screen
	s *supervised
}

// now is the screen as it stands.
func (v *view) now() string {
	vt := vt10x.New(vt10x.WithSize(80, 24))
	_, _ = vt.Write([]byte(v.shown()))
	return vt.String()
}

func (v *view) sees(text string) { v.t.Helper(); v.s.until(text, v.now) }

// takes presses a key until the screen shows what it does: keys that come
// before the screen was drawn do not count.
func (v *view) takes(key, text string) {
	v.t.Helper()
	v.s.until(text, func() string {
		if now := v.now(); strings.Contains(now, text) {
			return now
		}
		v.press(key)
		time.Sleep(200 * time.Millisecond)
		return v.now()
	})
}

func TestSupervise(t *testing.T) {
	s := newSupervised(t, "watched")
	if got := s.reach("new.example"); got != "403" {
		t.Fatalf("before the answer CONNECT is answered %q", got)
	}
	before := s.routes()
	told := s.asked("egress-block", `{"host": "new.example", "methods": ["GET"], "justification": "the manual\u001b[2J"}`, "new.example GET")
	v := s.view()
	v.sees("> ")
	v.sees("new.example GET")
	v.press("\raY") // ahead of the screen
	v.sees("watched asks for a route")
	v.sees("would have let through 1 recorded refusal, named by the agent")
	v.sees("| the manual")
	if s.routes() != before {
		t.Fatal("keys typed ahead changed the policy")
	}
	v.takes("a", "APPROVE, until the bottle ends")
	v.takes("Y", "in force: the answer to new.example in watched")
	if answer := told(); !strings.Contains(answer, `"status":"approved"`) {
		t.Errorf("the agent was told %s", answer)
	}
	if got := s.reach("new.example"); got != "200" {
		t.Errorf("after the answer CONNECT is answered %q", got)
	}
	v.sees("GRANTS IN FORCE")

	told = s.asked("egress-block", `{"host": "second.example", "justification": "why"}`, "second.example")
	v.sees("second.example")
	v.press("g\r")
	v.sees("watched asks for a route")
	v.press("f")
	v.takes("f", "1 once")
	v.press("1")
	v.sees("APPROVE, for one request")
	v.takes("Y", "in force: the answer to second.example")
	if answer := told(); !strings.Contains(answer, `"status":"approved"`) || !strings.Contains(s.routes(), "uses: 1") {
		t.Errorf("the agent was told %s of\n%s", answer, s.routes())
	}

	told = s.asked("pipelock-block", `{"failed_url": "https://third.example/x", "justification": "why"}`, "third.example")
	v.sees("third.example")
	v.press("g\r")
	v.sees("watched asks for a host")
	v.press("ruse the mirror\r")
	v.sees("REJECT, with this reason")
	v.takes("Y", "rejected in watched")
	if answer := told(); !strings.Contains(answer, `"status":"rejected"`) || !strings.Contains(answer, "use the mirror") {
		t.Errorf("the agent was told %s", answer)
	}
	if got := s.reach("third.example"); got != "403" {
		t.Errorf("the rejected host is answered %q", got)
	}

	told = s.asked("egress-block", `{"host": "fourth.example", "justification": "why"}`, "fourth.example")
	v.sees("fourth.example")
	v.press("g\r")
	v.sees("watched asks for a route")
	v.takes("f", "6 session+save")
	v.press("6")
	v.sees("APPROVE, until the bottle ends, and saved in the bottle file")
	v.press("\x1b[6~") // page down
	v.sees("dev.md")
	v.takes("Y", "in force: the answer to fourth.example in watched; saved in")
	if answer := told(); !strings.Contains(answer, `"status":"approved"`) {
		t.Errorf("the agent was told %s", answer)
	}

	v.press("Gv")
	v.takes("v", "REVOKE the grant of")
	v.takes("Y", "revoked in watched")
	v.press("q")
	if code := v.end(); code != 0 {
		t.Errorf("the view ended with %d: %q", code, v.shown())
	}
	file, err := os.ReadFile(filepath.Join(s.home, "bottles", "dev.md"))
	if err != nil || strings.Contains(string(file), "new.example") || !strings.Contains(string(file), "    - host: fourth.example\n---\nKept.\n") {
		t.Errorf("the bottle file, into which one host was saved: %v\n%s", err, file)
	}
}

// forged is a proposal as a compromised bundle can write it, with the right
// review of whatever it says.
func forged(slug, id, justification, rule string) string {
	canonical := fmt.Sprintf(`{"justification":%q,"kind":"egress-block","rule":%s,"slug":%q}`, justification, rule, slug)
	sum := sha256.Sum256([]byte(canonical))
	return fmt.Sprintf(`{"id":%q,"kind":"egress-block","slug":%q,"created":%q,"justification":%q,"request":{},"rule":%s,"review":%q}`,
		id, slug, time.Now().UTC().Format(time.RFC3339), justification, rule, hex.EncodeToString(sum[:]))
}

func TestAHostileQueue(t *testing.T) {
	const slug = "hostile"
	s := newSupervised(t, slug)
	queue := state.Home(s.home).Dir(slug).Queue()
	s.until("ready", func() string { return s.run("info", slug) })
	before := s.routes()
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(queue, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const honest = "000000000000honest"
	put(honest+".proposal.json", forged(slug, honest, "why", `{"host":"honest.example"}`))
	put("0000000000wildcard.proposal.json", forged(slug, "0000000000wildcard", "why", `{"host":"*.example"}`))
	put("0000000000networks.proposal.json", forged(slug, "0000000000networks", "why", `{"host":"a.example","networks":["0.0.0.0/0"]}`))
	put("0000000000000auth0.proposal.json", forged(slug, "0000000000000auth0", "why", `{"auth":{"token_env":"EGRESS_TOKEN_1"},"host":"a.example"}`))
	put("00000000000escape0.proposal.json", forged(slug, "00000000000escape0", "\x1b[2J\u202e", `{"host":"b.example"}`))
	put("0000000000another0.proposal.json", forged("other", "0000000000another0", "why", `{"host":"c.example"}`))
	put("000000000000large0.proposal.json", forged(slug, "000000000000large0", strings.Repeat("x", 5<<20), `{"host":"large.example"}`))
	put("00000000000000deep.proposal.json", strings.Repeat("[", 60_000))
	put("\x1b[2J\x1b]0;owned\a.proposal.json", "x")
	if err := os.Symlink("/etc/shadow", filepath.Join(queue, "000000000000link00.proposal.json")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(queue, "000000000000pipe00.proposal.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Answers that nobody gave.
	const answered = "0000000000answered"
	put(answered+".proposal.json", forged(slug, answered, "why", `{"host":"answered.example"}`))
	put(answered+".response.json", `{"proposal_id":"`+honest+`","review":"00","status":"approved","notes":"","decided":"2026-01-01T00:00:00Z","operator":"root"}`)
	put(honest+".decision.json", `{"proposal_id":"`+honest+`","review":"00","status":"approved","notes":"","decided":"2026-01-01T00:00:00Z","operator":"root"}`)

	out := s.run("supervise", "--once")
	for _, r := range out {
		if r < ' ' && r != '\n' || r == 0x7f || r >= 0x80 {
			t.Errorf("%U in %q", r, out)
		}
	}
	for _, want := range []string{"2 waiting", "honest.example", "answered.example", "of its queue ignored"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	for _, not := range []string{"a.example", "b.example", "c.example", "large.example", "*.example", "root:"} {
		if strings.Contains(out, not) {
			t.Errorf("%q is in\n%s", not, out)
		}
	}

	v := s.view()
	v.sees("honest.example")
	v.press("G\r")
	v.sees("hostile asks for a route")
	v.takes("a", "APPROVE, until the bottle ends")
	shown := v.now()
	host, other := "honest.example", "answered.example"
	id := honest
	if strings.Contains(shown, other) {
		host, other, id = other, host, answered
	}
	put(id+".proposal.json", forged(slug, id, "why", `{"host":"evil.example"}`)) // changed after it was shown
	v.press("Y")
	v.sees("evil.example")
	if s.routes() != before {
		t.Fatalf("the policy was changed, %s was shown:\n%s", host, s.routes())
	}

	// The agent itself reaches neither the queue nor the operator's program.
	dir := state.Home(s.home).Dir(slug)
	looks := "cd /workspace && for p in " + strings.Join([]string{queue, dir.In(), dir.Run(), s.home, filepath.Join(programs, "bottle")}, " ") +
		"; do test -e $p && echo reached $p; done; echo looked"
	if out := s.run("exec", slug, "--", "sh", "-c", looks); out != "looked\n" {
		t.Errorf("from inside: %s", out)
	}

	// A flood, while the operator is at it.
	for i := range 1000 {
		flood := fmt.Sprintf("0000000000flood%03d", i)
		put(flood+".proposal.json", forged(slug, flood, "why", fmt.Sprintf(`{"host":"flood%d.example"}`, i)))
	}
	v.press("\x1b")
	v.sees("1002 waiting")
	v.press("g")
	v.takes("\x1b[B", "> ")
	v.press("G")
	v.takes("\r", "hostile asks for")
	v.press("\x1b")
	v.sees("1002 waiting")
	v.press("q")
	if code := v.end(); code != 0 {
		t.Errorf("the view ended with %d", code)
	}
	if s.routes() != before {
		t.Errorf("the policy was changed:\n%s", s.routes())
	}
	if got := s.reach("honest.example"); got != "403" {
		t.Errorf("a host that nobody approved is answered %q", got)
	}
	if got := s.reach("allowed.example"); got != "200" {
		t.Errorf("the bottle's own host is answered %q", got)
	}
}
