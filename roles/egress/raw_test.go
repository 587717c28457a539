package egress

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/policy"
)

// connect dials the proxy and asks for a tunnel, by hand.
func (l *lab) connect(target string) (net.Conn, *http.Response) {
	l.t.Helper()
	conn := must(net.Dial("tcp", l.proxy))(l.t)
	l.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target)
	response := must(http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: "CONNECT"}))(l.t)
	return conn, response
}

// tunnel opens one to api.test:443 and TLS in it, for any name.
func (l *lab) tunnel(sni string, alpn ...string) *tls.Conn {
	l.t.Helper()
	conn, response := l.connect("api.test:443")
	if response.StatusCode != http.StatusOK {
		l.t.Fatalf("CONNECT: %s", response.Status)
	}
	return tls.Client(conn, &tls.Config{ServerName: sni, NextProtos: alpn, InsecureSkipVerify: true})
}

// sayTo writes bytes as they are and reads one response.
func sayTo(t testing.TB, conn net.Conn, message string) answer {
	t.Helper()
	if _, err := io.WriteString(conn, message); err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, bufio.NewReader(conn), message)
}

func readAnswer(t testing.TB, r *bufio.Reader, message string) answer {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("no response to %.80q: %v", message, err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header.Get(policy.BlockHeader), response.Header, response.Trailer, string(body)}
}

// brokenHeads are messages that two servers could read differently.
var brokenHeads = map[string]string{
	"length and coding":     "POST %s HTTP/1.1\r\nHost: api.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"two lengths":           "POST %s HTTP/1.1\r\nHost: api.test\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody",
	"list of lengths":       "POST %s HTTP/1.1\r\nHost: api.test\r\nContent-Length: 4, 4\r\n\r\nbody",
	"signed length":         "POST %s HTTP/1.1\r\nHost: api.test\r\nContent-Length: +4\r\n\r\nbody",
	"two codings":           "POST %s HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"identity coding":       "POST %s HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: identity\r\n\r\n",
	"coding in disguise":    "POST %s HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n",
	"coding in 1.0":         "POST %s HTTP/1.0\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"two hosts":             "GET %s HTTP/1.1\r\nHost: api.test\r\nHost: api.test\r\n\r\n",
	"no host":               "GET %s HTTP/1.1\r\n\r\n",
	"blank before colon":    "GET %s HTTP/1.1\r\nHost: api.test\r\nX-A : b\r\n\r\n",
	"folded line":           "GET %s HTTP/1.1\r\nHost: api.test\r\nX-A: b\r\n c\r\n\r\n",
	"bare line feed":        "GET %s HTTP/1.1\nHost: api.test\n\n",
	"later bare line feed":  "GET %s HTTP/1.1\r\nHost: api.test\r\nX-A: b\nX-B: c\r\n\r\n",
	"bare carriage return":  "GET %s HTTP/1.1\r\nHost: api.test\r\nX-A: b\rc\r\n\r\n",
	"nul in a value":        "GET %s HTTP/1.1\r\nHost: api.test\r\nX-A: b\x00c\r\n\r\n",
	"two blanks":            "GET  %s HTTP/1.1\r\nHost: api.test\r\n\r\n",
	"blank in the target":   "GET %s x HTTP/1.1\r\nHost: api.test\r\n\r\n",
	"tab in the target":     "GET %s\tx HTTP/1.1\r\nHost: api.test\r\n\r\n",
	"no version":            "GET %s\r\nHost: api.test\r\n\r\n",
	"other version":         "GET %s HTTP/3.0\r\nHost: api.test\r\n\r\n",
	"method with a control": "GE\x01T %s HTTP/1.1\r\nHost: api.test\r\n\r\n",
	"fragment":              "GET %s#f HTTP/1.1\r\nHost: api.test\r\n\r\n",
	"fragment in the query": "GET %s?a#f HTTP/1.1\r\nHost: api.test\r\n\r\n",
	"bad escape":            "GET %s%%zz HTTP/1.1\r\nHost: api.test\r\n\r\n",
}

func TestBrokenMessages(t *testing.T) {
	l := newLab(t, route("api.test")+route("api.test", "ports: [80]"))
	for name, message := range brokenHeads {
		inner := fmt.Sprintf(strings.ReplaceAll(message, "%%", "%%%%"), "/v1")
		inner = strings.ReplaceAll(inner, "%%", "%")
		l.wantBlock("tunnel: "+name, sayTo(t, l.tunnel("api.test"), inner), policy.Malformed)
		outer := strings.Replace(inner, "/v1", "http://api.test/v1", 1)
		conn := must(net.Dial("tcp", l.proxy))(t)
		l.wantBlock("proxy: "+name, sayTo(t, conn, outer), policy.Malformed)
		conn.Close()
	}
	good := "POST /v1 HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
	if got := l.wantThrough("control", sayTo(t, l.tunnel("api.test"), good)); got.body != "abc" {
		t.Errorf("the origin got %q", got.body)
	}
}

// TestPipelined: what follows a good request is judged by itself.
func TestPipelined(t *testing.T) {
	l := newLab(t, route("api.test"))
	conn := l.tunnel("api.test")
	good := "POST /a HTTP/1.1\r\nHost: api.test\r\nContent-Length: 3\r\n\r\nabc"
	fmt.Fprint(conn, good+good+"GET /b HTTP/1.1\r\nHost: api.test\r\nX-A : b\r\n\r\n"+good)
	r := bufio.NewReader(conn)
	readAnswer(t, r, good)
	readAnswer(t, r, good)
	if got := l.origin.all(); len(got) != 2 || got[1].body != "abc" {
		t.Errorf("the origin got %v", got)
	}
	l.wantBlock("broken", readAnswer(t, r, "broken"), policy.Malformed)
	if _, err := r.ReadByte(); err == nil {
		t.Error("the connection goes on after a broken message")
	}
	if got := l.origin.all(); len(got) > 0 {
		t.Errorf("what followed the broken message arrived: %v", got)
	}
}

// TestNothingFollowsConnectInTunnel: what comes after a CONNECT is not parsed on
// the wire, so it is not served either.
func TestNothingFollowsConnectInTunnel(t *testing.T) {
	l := newLab(t, route("api.test"))
	conn := l.tunnel("api.test")
	fmt.Fprint(conn, "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n"+
		"GET /folded HTTP/1.1\nHost: api.test\nX-A: b\n c\n\n")
	r := bufio.NewReader(conn)
	l.wantBlock("CONNECT", readAnswer(t, r, "CONNECT"), policy.Malformed)
	if _, err := r.ReadByte(); err == nil {
		t.Error("the connection goes on after CONNECT")
	}
	if got := l.origin.all(); len(got) > 0 {
		t.Errorf("what followed CONNECT arrived: %v", got)
	}
	good := "GET /v1 HTTP/1.1\r\nHost: api.test\r\n\r\n"
	l.wantThrough("control", sayTo(t, l.tunnel("api.test"), good))
}

func TestBrokenChunks(t *testing.T) {
	l := newLab(t, route("api.test"))
	head := "POST /v1 HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, body := range map[string]string{
		"extension":            "3;x=y\r\nabc\r\n0\r\n\r\n",
		"bare line feed":       "3\nabc\r\n0\r\n\r\n",
		"not hexadecimal":      "0x3\r\nabc\r\n0\r\n\r\n",
		"signed":               "+3\r\nabc\r\n0\r\n\r\n",
		"overflow":             "10000000000000003\r\nabc\r\n0\r\n\r\n",
		"no end of a chunk":    "3\r\nabcd\r\n0\r\n\r\n",
		"trailer without name": "3\r\nabc\r\n0\r\n: x\r\n\r\n",
	} {
		a := sayTo(t, l.tunnel("api.test"), head+body)
		if a.status != http.StatusForbidden || a.rule != string(policy.Malformed) {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
		for _, got := range l.origin.all() {
			if !strings.HasPrefix(got.body, "broken") {
				t.Errorf("%s: the origin got a whole request", name)
			}
		}
	}
	// Every way in which TCP can cut a good message gives the same request.
	good := head + "3\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-T: v\r\n\r\n" + "GET /next HTTP/1.1\r\nHost: api.test\r\n\r\n"
	for i := 1; i < len(good); i += 7 {
		conn := l.tunnel("api.test")
		fmt.Fprint(conn, good[:i])
		fmt.Fprint(conn, good[i:])
		r := bufio.NewReader(conn)
		readAnswer(t, r, good)
		readAnswer(t, r, good)
		if got := l.origin.all(); len(got) != 2 || got[0].body != "abc0123456789" || got[1].target != "/next" {
			t.Errorf("cut at %d the origin got %v", i, got)
		}
		conn.Close()
	}
}

func TestTunnelNamesOneServer(t *testing.T) {
	l := newLab(t, route("api.test")+route("other.test"))
	get := func(host string) string { return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n" }
	for _, test := range []struct {
		name, sni, host string
		rule            policy.Rule
	}{
		{"control", "api.test", "api.test", ""},
		{"with port", "api.test", "api.test:443", ""},
		{"case and dot", "API.test", "API.TEST.", ""},
		{"other SNI", "other.test", "other.test", policy.AuthorityMismatch},
		{"other SNI, same Host", "other.test", "api.test", policy.AuthorityMismatch},
		{"no SNI", "", "api.test", policy.AuthorityMismatch},
		{"other Host", "api.test", "other.test", policy.AuthorityMismatch},
		{"other port", "api.test", "api.test:8443", policy.AuthorityMismatch},
		{"empty Host", "api.test", "", policy.AuthorityMismatch},
		{"user in Host", "api.test", "u@api.test", policy.Malformed},
	} {
		a := sayTo(t, l.tunnel(test.sni), get(test.host))
		if test.rule != "" {
			l.wantBlock(test.name, a, test.rule)
			continue
		}
		if got := l.wantThrough(test.name, a); got.host != "api.test" {
			t.Errorf("%s: the origin was called %q", test.name, got.host)
		}
	}
	l.wantVerdicts(3, `"action":"connect","decision":"block"`, `"rule":"authority-mismatch"`)
	for _, target := range []string{"https://other.test/", "http://other.test/", "https://api.test/", "api.test:443", "*"} {
		a := sayTo(t, l.tunnel("api.test"), "GET "+target+" HTTP/1.1\r\nHost: api.test\r\n\r\n")
		if a.status == http.StatusOK || len(l.origin.all()) > 0 {
			t.Errorf("target %q in a tunnel: %d %s", target, a.status, a.body)
		}
	}
}

func TestTunnelHoldsTLS(t *testing.T) {
	l := newLab(t, route("api.test", "websocket: true"))
	for name, message := range map[string]string{
		"plain HTTP": "GET / HTTP/1.1\r\nHost: api.test\r\n\r\n",
		"SSH":        "SSH-2.0-x\r\n",
		"h2c":        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		conn, _ := l.connect("api.test:443")
		fmt.Fprint(conn, message)
		if b, err := io.ReadAll(conn); len(b) > 0 || err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: %q %v", name, b, err)
		}
	}
	l.wantVerdicts(3, `"action":"connect","decision":"block"`, `"rule":"malformed"`)
	if err := l.tunnel("api.test", "smtp").Handshake(); err == nil {
		t.Error("a protocol that is not HTTP was negotiated")
	}
	upgrade := "GET / HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s\r\n"
	for name, message := range map[string]string{
		"h2c preface":   "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"h2c":           fmt.Sprintf(upgrade, "h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"),
		"unknown":       fmt.Sprintf(upgrade, "spdy", ""),
		"two":           fmt.Sprintf(upgrade, "websocket, h2c", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
		"body with it":  "POST / HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nab",
		"settings only": "GET / HTTP/1.1\r\nHost: api.test\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
	} {
		l.wantBlock(name, sayTo(t, l.tunnel("api.test"), message), policy.Upgrade)
	}
	l.wantThrough("control", sayTo(t, l.tunnel("api.test", "http/1.1"), "GET / HTTP/1.1\r\nHost: api.test\r\n\r\n"))
	if got := l.origin.all(); len(got) > 0 {
		t.Errorf("the origin got %v", got)
	}
}

func TestBrokenConnect(t *testing.T) {
	l := newLab(t, route("api.test"))
	for target, rule := range map[string]policy.Rule{
		"api.test":            policy.Malformed,
		"u:p@api.test:443":    policy.Malformed,
		"api.test:0":          policy.Malformed,
		"api.test:443/":       policy.Malformed,
		"api.test:00443":      policy.Malformed,
		"api%2etest:443":      policy.Malformed,
		"api.test:80":         policy.Port,
		"[::1]:443":           policy.IPLiteral,
		"[::ffff:7f00:1]:443": policy.IPLiteral,
		"0x7f000001:443":      policy.IPLiteral,
		"localhost:443":       policy.NoRoute,
	} {
		_, response := l.connect(target)
		body, _ := io.ReadAll(response.Body)
		l.wantBlock(target, answer{status: response.StatusCode, rule: response.Header.Get(policy.BlockHeader), body: string(body)}, rule)
		var about struct{ Host string }
		if err := json.Unmarshal(body, &about); err != nil || strings.ContainsAny(about.Host, "@[]/") || strings.Contains(about.Host, ":443") {
			t.Errorf("%s: the refusal is for the host %q", target, about.Host)
		}
	}
	for _, target := range []string{"API.Test:443", "api.test.:443"} {
		if _, response := l.connect(target); response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", target, response.Status)
		}
	}
	if asked := l.asked(); len(asked) > 0 {
		t.Errorf("%v was looked up for a CONNECT", asked)
	}
}

// TestHostOfConnect: its Host, where it has one, names its target.
func TestHostOfConnect(t *testing.T) {
	l := newLab(t, route("api.test")+route("other.test"))
	for name, test := range map[string]struct {
		head string
		rule policy.Rule
	}{
		"same":            {"HTTP/1.1\r\nHost: api.test:443", ""},
		"other spelling":  {"HTTP/1.1\r\nhost: API.test", ""},
		"none":            {"HTTP/1.0", ""},
		"another name":    {"HTTP/1.1\r\nHost: other.test:443", policy.AuthorityMismatch},
		"another port":    {"HTTP/1.1\r\nHost: api.test:8443", policy.AuthorityMismatch},
		"unreadable":      {"HTTP/1.1\r\nHost: 0x7f.1", policy.AuthorityMismatch},
		"empty":           {"HTTP/1.1\r\nHost:", policy.AuthorityMismatch},
		"first in HTTP/1": {"HTTP/1.0\r\nHost: other.test", policy.AuthorityMismatch},
	} {
		conn := dialProxy(l)
		fmt.Fprintf(conn, "CONNECT api.test:443 %s\r\n\r\n", test.head)
		if test.rule == "" {
			if response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: "CONNECT"}); err != nil || response.StatusCode != 200 {
				t.Errorf("%s: %v %v", name, response, err)
			}
			continue
		}
		l.wantBlock(name, readAnswer(t, bufio.NewReader(conn), name), test.rule)
	}
}

// TestEarlyHello: some clients send the TLS hello with the CONNECT.
func TestEarlyHello(t *testing.T) {
	l := newLab(t, route("api.test"))
	conn := must(net.Dial("tcp", l.proxy))(t)
	defer conn.Close()
	early := &earlyConn{Conn: conn, first: "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n"}
	a := sayTo(t, tls.Client(early, &tls.Config{ServerName: "api.test", RootCAs: l.roots}), "GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
	l.wantThrough("early hello", a)
}

// earlyConn writes first with the first write, and drops the answer to it.
type earlyConn struct {
	net.Conn
	first string
	read  bool
}

func (c *earlyConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(append([]byte(c.first), p...))
	n -= len(c.first)
	c.first = ""
	return n, err
}

func (c *earlyConn) Read(p []byte) (int, error) {
	for !c.read {
		var line []byte
		for b := make([]byte, 1); !strings.HasSuffix(string(line), "\r\n\r\n"); line = append(line, b[0]) {
			if _, err := io.ReadFull(c.Conn, b); err != nil {
				return 0, err
			}
		}
		c.read = true
	}
	return c.Conn.Read(p)
}
