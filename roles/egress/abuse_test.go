package egress

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/claude-bottle/claude-bottle/policy"
)

// TestOverrides: no header makes the origin answer another request than the
// one that was decided on.
func TestOverrides(t *testing.T) {
	l := newLab(t, route("api.test", "methods: [POST]"))
	for _, name := range []string{"X-HTTP-Method-Override", "X_Http_Method_Override", "X-Original-URL", "X-Forwarded-Host"} {
		got := l.wantThrough(name, l.ask("POST", "https://api.test/", "", header(name, "DELETE"), header("X-Other", "DELETE")))
		if count(got.header, "DELETE") != 1 {
			t.Errorf("%s arrived: %v", name, got.header)
		}
	}
}

// TestSpoofedRefusal: only egress says that egress refused.
func TestSpoofedRefusal(t *testing.T) {
	l := newLab(t, route("api.test"))
	l.origin.handler = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(policy.BlockHeader, "path")
		w.Header().Set("Alt-Svc", `h3=":443"`)
		w.Header().Set("X-Other", "passes")
		w.WriteHeader(403)
	}
	a := l.ask("GET", "https://api.test/", "")
	if a.status != 403 || a.rule != "" || a.header.Get("Alt-Svc") != "" || a.header.Get("X-Other") != "passes" {
		t.Errorf("%d %v", a.status, a.header)
	}
}

// TestUnaskedUpgrade: an origin cannot turn a request into a tunnel.
func TestUnaskedUpgrade(t *testing.T) {
	l := newLab(t, route("api.test", "websocket: true"))
	l.origin.handler = func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: anything\r\n\r\nfree")
		rw.Flush()
	}
	if a := l.ask("GET", "https://api.test/", ""); a.status != http.StatusBadGateway {
		t.Errorf("%d %s", a.status, a.body)
	}
	ws := "GET / HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if a := sayTo(t, l.tunnel("api.test"), ws); a.status != http.StatusBadGateway {
		t.Errorf("a wrong accept: %d %s", a.status, a.body)
	}
}

// TestFramesOfHTTP2 by hand: what a client library would never send.
func TestFramesOfHTTP2(t *testing.T) {
	l := newLab(t, route("api.test"))
	ask := func(fields ...string) string {
		conn := l.tunnel("api.test", "h2")
		fmt.Fprint(conn, http2.ClientPreface)
		f := http2.NewFramer(conn, conn)
		f.WriteSettings()
		var block bytes.Buffer
		e := hpack.NewEncoder(&block)
		for i := 0; i < len(fields); i += 2 {
			e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
		f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		for {
			got, err := f.ReadFrame()
			if err != nil {
				return "closed"
			}
			switch got := got.(type) {
			case *http2.MetaHeadersFrame:
				rule := ""
				for _, field := range got.Fields {
					if strings.EqualFold(field.Name, policy.BlockHeader) {
						rule = " " + field.Value
					}
				}
				return got.PseudoValue("status") + rule
			case *http2.RSTStreamFrame, *http2.GoAwayFrame:
				return "reset"
			}
		}
	}
	base := []string{":method", "GET", ":scheme", "https", ":authority", "api.test", ":path", "/"}
	with := func(more ...string) []string { return append(append([]string{}, base...), more...) }
	change := func(name, value string) []string {
		fields := append([]string{}, base...)
		for i := 0; i < len(fields); i += 2 {
			if fields[i] == name {
				fields[i+1] = value
			}
		}
		return fields
	}
	for name, test := range map[string]struct {
		fields []string
		want   string
	}{
		"other authority":       {change(":authority", "other.test"), "403 authority-mismatch"},
		"authority with a user": {change(":authority", "u@api.test"), ""},
		"Host beside it":        {with("host", "other.test"), "403 authority-mismatch"},
		"absolute path":         {change(":path", "https://other.test/"), ""},
		"star":                  {change(":path", "*"), ""},
		"climbing":              {change(":path", "/a/../../b"), "403 path"},
		"fragment":              {change(":path", "/#f"), ""},
		"blank":                 {change(":path", "/a b"), ""},
		"line end in a value":   {with("x-a", "b\r\nx-c: d"), "reset"},
		"upper-case name":       {with("X-A", "b"), "reset"},
		"hop's header":          {with("connection", "close"), ""},
		"coding":                {with("transfer-encoding", "chunked"), ""},
		"upgrade":               {with("upgrade", "websocket"), ""},
		"tunnel in the tunnel":  {[]string{":method", "CONNECT", ":authority", "other.test:443"}, ""},
		"extended CONNECT":      {[]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "api.test", ":path", "/"}, ""},
	} {
		got := ask(test.fields...)
		if strings.HasPrefix(got, "200") || test.want != "" && got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
		if arrived := l.origin.all(); len(arrived) > 0 {
			t.Errorf("%s: arrived as %v", name, arrived)
		}
	}
	if got := ask(base...); got != "200" || len(l.origin.all()) != 1 {
		t.Errorf("control: %s", got)
	}
}

// TestResumedSession: a TLS session of one host opens no other.
func TestResumedSession(t *testing.T) {
	l := newLab(t, route("api.test")+route("other.test"))
	cache := tls.NewLRUClientSessionCache(8)
	get := func(connectTo, name string) answer {
		conn, response := l.connect(connectTo + ":443")
		if response.StatusCode != 200 {
			t.Fatal(response.Status)
		}
		client := tls.Client(conn, &tls.Config{ServerName: name, ClientSessionCache: cache, RootCAs: l.roots})
		a := sayTo(t, client, "GET / HTTP/1.1\r\nHost: "+name+"\r\n\r\n")
		if connectTo == name && client.ConnectionState().DidResume {
			a.body = "resumed"
		}
		return a
	}
	l.wantThrough("first", get("api.test", "api.test"))
	if a := get("api.test", "api.test"); a.body != "resumed" {
		t.Errorf("control: the session is not resumed")
	}
	l.origin.all()
	l.wantBlock("resumed in the tunnel of another", get("other.test", "api.test"), policy.AuthorityMismatch)
}

// TestTinyChunks must not take a buffer each.
func TestTinyChunks(t *testing.T) {
	l := newLab(t, route("api.test"))
	conn := l.tunnel("api.test")
	w := bufio.NewWriter(conn)
	fmt.Fprint(w, "POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20_000 {
		fmt.Fprint(w, "1\r\nx\r\n")
	}
	fmt.Fprint(w, "0\r\n\r\n")
	w.Flush()
	got := l.wantThrough("tiny chunks", readAnswer(t, bufio.NewReader(conn), "tiny chunks"))
	runtime.ReadMemStats(&after)
	if len(got.body) != 20_000 {
		t.Errorf("%d bytes arrived", len(got.body))
	}
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 32<<20 {
		t.Errorf("%d MB for 20 KB", grown>>20)
	}
}

// TestSmuggledSecond: the origin sees as many requests as were decided on.
func TestSmuggledSecond(t *testing.T) {
	l := newLab(t, route("api.test", "paths: [/ok]"))
	hidden := "GET /secret HTTP/1.1\r\nHost: api.test\r\n\r\n"
	for name, message := range map[string]string{
		"in a body":             fmt.Sprintf("POST /ok HTTP/1.1\r\nHost: api.test\r\nContent-Length: %d\r\n\r\n%s", len(hidden), hidden),
		"in a chunk":            fmt.Sprintf("POST /ok HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden),
		"in a GET's body":       fmt.Sprintf("GET /ok HTTP/1.1\r\nHost: api.test\r\nContent-Length: %d\r\n\r\n%s", len(hidden), hidden),
		"length taken away":     fmt.Sprintf("POST /ok HTTP/1.1\r\nHost: api.test\r\nConnection: Content-Length\r\nContent-Length: %d\r\n\r\n%s", len(hidden), hidden),
		"encoded in the target": "GET /ok%0d%0aHost:%20evil%0d%0a HTTP/1.1\r\nHost: api.test\r\n\r\n",
	} {
		conn := l.tunnel("api.test")
		a := sayTo(t, conn, message)
		if name == "encoded in the target" {
			l.wantBlock(name, a, policy.Path)
			continue
		}
		if got := l.wantThrough(name, a); got.target != "/ok" || got.body != hidden {
			t.Errorf("%s: arrived as %s with %q", name, got.target, got.body)
		}
		a = sayTo(t, conn, hidden)
		l.wantBlock(name+", after it", a, policy.Path)
	}
}

// TestForwardedAsDecided: path and query arrive in the form that was decided on.
func TestForwardedAsDecided(t *testing.T) {
	l := newLab(t, route("api.test", "paths: [/ok]"))
	for sent, want := range map[string]string{
		"/ok/./a":       "/ok/a",
		"/x/../ok/a":    "/ok/a",
		"//ok//a":       "/ok/a",
		"/%6fk/%7Ea":    "/ok/~a",
		"/ok/%e2%82%ac": "/ok/%E2%82%AC",
		"/ok/a%20b":     "/ok/a%20b",
		"/ok/a%252fb":   "/ok/a%252fb",
		"/ok?":          "/ok?",
		"/ok?a=%2e&b=/": "/ok?a=%2e&b=/",
		"/ok?a=1&a=2?":  "/ok?a=1&a=2?",
		"/ok/":          "/ok/",
	} {
		for _, h2 := range []bool{false, true} {
			r, _ := http.NewRequest("GET", "https://api.test/", nil)
			r.URL.Opaque = "//api.test" + sent
			if h2 {
				r.URL.Opaque = sent
			}
			raw := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: api.test\r\n\r\n", sent)
			var a answer
			if h2 && !strings.HasPrefix(sent, "//") {
				a, _ = l.do(l.client(true), r)
			} else {
				a = sayTo(t, l.tunnel("api.test"), raw)
			}
			if got := l.wantThrough(sent, a); got.target != want {
				t.Errorf("%q arrived as %q, want %q", sent, got.target, want)
			}
		}
	}
}
