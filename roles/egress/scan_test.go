package egress

import (
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

const known = "hunter2-hunter2-hunter2"

// TestNoSecretLeaves, over every surface that the agent controls.
func TestNoSecretLeaves(t *testing.T) {
	l := newLab(t, route("api.test")+route("api.test", "ports: [80]"))
	filler := strings.Repeat("harmless filler text. ", 10_000) // longer than what is held
	surfaces := map[string]func(r *http.Request, secret string){
		"path":        func(r *http.Request, s string) { r.URL.Path = "/a/" + s },
		"query":       func(r *http.Request, s string) { r.URL.RawQuery = "q=" + s },
		"query name":  func(r *http.Request, s string) { r.URL.RawQuery = s + "=q" },
		"header":      func(r *http.Request, s string) { r.Header.Set("X-Note", "a "+s+" b") },
		"own header":  func(r *http.Request, s string) { r.Header.Set("Authorization", "Bearer "+s) },
		"cookie":      func(r *http.Request, s string) { r.AddCookie(&http.Cookie{Name: "c", Value: s}) },
		"user agent":  func(r *http.Request, s string) { r.Header.Set("User-Agent", s) },
		"body":        func(r *http.Request, s string) { setBody(r, `{"a":"`+s+`"}`) },
		"end of body": func(r *http.Request, s string) { setBody(r, filler+s) },
		"chunked":     func(r *http.Request, s string) { setBody(r, "x"+s); r.ContentLength = -1 },
		"trailer": func(r *http.Request, s string) {
			setBody(r, "x")
			r.ContentLength, r.Trailer = -1, http.Header{"X-Note": {s}}
		},
	}
	encodings := map[string]func(string) string{
		"plain":  func(s string) string { return s },
		"base64": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte("k=" + s)) },
		"hex":    func(s string) string { return hex.EncodeToString([]byte(s)) },
	}
	for place, put := range surfaces {
		for encoding, encode := range encodings {
			for _, h2 := range []bool{false, true} {
				name := place + ", " + encoding
				request := func(text string) *http.Request {
					r, _ := http.NewRequest("POST", "https://api.test/", nil)
					put(r, text)
					return r
				}
				a, err := l.do(l.client(h2), request(encode(known)))
				if err != nil {
					// The agent was still sending; what counts is the origin.
					a = answer{status: 403, rule: string(policy.Secret)}
				}
				if a.status != 403 || a.rule != string(policy.Secret) || strings.Contains(a.body, known) {
					t.Errorf("%s: %d %s", name, a.status, a.body)
				}
				for _, got := range l.origin.all() {
					// A long body's beginning may have left; its end may not.
					if place != "end of body" || !strings.HasPrefix(got.body, "broken") {
						t.Errorf("%s: %s arrived", name, got.target)
					}
				}
				if a, err := l.do(l.client(h2), request("nothing-of-interest")); err != nil || a.status != 200 {
					t.Errorf("%s: control: %d %v", name, a.status, err)
				}
				l.origin.all()
			}
		}
	}
	l.wantBlock("plain HTTP", l.ask("POST", "http://api.test/", known), policy.Secret)
	l.wantThrough("plain HTTP, control", l.ask("POST", "http://api.test/", "text"))
	if len(l.verdicts(known)) > 0 {
		t.Error("the secret is in the audit log")
	}
}

func setBody(r *http.Request, body string) {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
}

// TestClearedFindings pass where the operator cleared them, and only there.
func TestClearedFindings(t *testing.T) {
	l := newLab(t, route("api.test")+route("other.test"))
	f := l.role.Scanner.For("api.test", nil).Text("body", known)
	if f == nil {
		t.Fatal("the scanner does not know the secret")
	}
	cleared := "findings: [{rule: " + f.Rule + ", fingerprint: \"" + f.Fingerprint + "\"}]"
	l.write("routes.yaml", "routes:\n"+route("api.test", cleared)+route("other.test", cleared))
	if err := l.role.Reload(); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{known, strings.Repeat("long ", 100_000) + known} {
		if got := l.wantThrough("cleared", l.ask("POST", "https://api.test/", body)); len(got.body) != len(body) {
			t.Errorf("%d bytes arrived of %d", len(got.body), len(body))
		}
	}
	l.wantBlock("another host", l.ask("POST", "https://other.test/", known), policy.Secret)
}

// TestClearedBelowAPattern: what is filed is for the exact host, and what the
// operator then adds to the pattern's route clears it there and nowhere else.
func TestClearedBelowAPattern(t *testing.T) {
	filed := map[string]routes.Finding{}
	l := newLab(t, route("\"*.wild.test\""), func(c *Config) {
		c.OnFinding = func(host string, f secretscan.Finding) string {
			filed[host] = routes.Finding{Rule: f.Rule, Fingerprint: f.Fingerprint}
			return "p-" + host
		}
	})
	for _, host := range []string{"a.wild.test", "b.wild.test"} {
		a := l.ask("POST", "https://"+strings.ToUpper(host)+"/", known)
		l.wantBlock(host, a, policy.Secret)
		if filed[host] == (routes.Finding{}) || !strings.Contains(a.body, "p-"+host) {
			t.Fatalf("%s: filed %v, answered %s", host, filed, a.body)
		}
	}
	if filed["a.wild.test"] == filed["b.wild.test"] {
		t.Fatal("one fingerprint for two hosts")
	}
	src := must(os.ReadFile(l.path("routes.yaml")))(t)
	l.write("routes.yaml", string(must(routes.AddFinding(src, "a.wild.test", filed["a.wild.test"]))(t)))
	if err := l.role.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := l.wantThrough("cleared", l.ask("POST", "https://a.wild.test/", known)); got.body != known {
		t.Errorf("%q arrived", got.body)
	}
	l.wantBlock("another host of the pattern", l.ask("POST", "https://b.wild.test/", known), policy.Secret)
	l.wantBlock("another secret", l.ask("POST", "https://a.wild.test/", shapeAWS), policy.Secret)
}

// TestScannersAreBounded, however many hosts a pattern has.
func TestScannersAreBounded(t *testing.T) {
	l := newLab(t, route("\"*.wild.test\""))
	now := l.role.live.Load()
	r := &now.table.Routes()[0]
	for i := range 3 * maxScanners {
		now.scanner(r, must(canon.ParseHost(fmt.Sprintf("h%d.wild.test", i)))(t))
	}
	if n := len(now.scanners); n > maxScanners {
		t.Errorf("%d scanners are kept", n)
	}
}

// TestBodiesArriveAsTheyAre, whatever their size and framing.
func TestBodiesArriveAsTheyAre(t *testing.T) {
	l := newLab(t, route("api.test"))
	for _, size := range []int{0, 1, 4095, 4096, 64 << 10, maxBuffered - 1, maxBuffered, maxBuffered + 1, 900_000} {
		body := bytes.Repeat([]byte("0123456789abcde\n"), size/16+1)[:size]
		for _, framing := range []string{"length", "chunked", "expect"} {
			for _, h2 := range []bool{false, true} {
				r, _ := http.NewRequest("PUT", "https://api.test/", bytes.NewReader(body))
				switch framing {
				case "chunked":
					r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), -1
				case "expect":
					r.Header.Set("Expect", "100-continue")
				}
				a, err := l.do(l.client(h2), r)
				if err != nil {
					t.Fatalf("%d %s: %v", size, framing, err)
				}
				if got := l.wantThrough(framing, a); got.body != string(body) {
					t.Errorf("%d bytes, %s: %d arrived", size, framing, len(got.body))
				}
			}
		}
	}
}

// TestCodedBodies: what the scanner cannot see through does not leave.
func TestCodedBodies(t *testing.T) {
	l := newLab(t, route("api.test"))
	zipped := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, text)
		z.Close()
		return b.String()
	}
	for _, coding := range []string{"br", "zstd", "deflate", "compress", "gzip, br", "gzip, gzip", "GZIP;q=1"} {
		l.wantBlock(coding, l.ask("POST", "https://api.test/", zipped("text"), header("Content-Encoding", coding)), policy.Secret)
	}
	clean := zipped(strings.Repeat("some clean text\n", 1000))
	for _, coding := range []string{"gzip", "GZIP", "identity"} {
		if got := l.wantThrough(coding, l.ask("POST", "https://api.test/", clean, header("Content-Encoding", coding))); got.body != clean {
			t.Errorf("%s: the body was changed", coding)
		}
		l.wantBlock(coding, l.ask("POST", "https://api.test/", zipped("a "+known+" b"), header("Content-Encoding", coding)), policy.Secret)
	}
}

// TestShortFileAtTheEnd: a body of a known length is scanned to its end, also
// where what could be told only there is short.
func TestShortFileAtTheEnd(t *testing.T) {
	l := newLab(t, route("api.test"))
	part := func(text string) string {
		var b bytes.Buffer
		z, err := flate.NewWriter(&b, flate.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(z, text)
		z.Close()
		return "--b\r\nContent-Type: a/b\r\n\r\n" + b.String() + "\r\n"
	}
	for _, h2 := range []bool{false, true} {
		for _, length := range []int64{0, -1} {
			send := func(body string) answer {
				r := must(http.NewRequest("POST", "https://api.test/", nil))(t)
				setBody(r, body)
				r.ContentLength = cmp.Or(length, r.ContentLength)
				return must(l.do(l.client(h2), r))(t)
			}
			l.wantBlock("a part", send(part(shapeAWS)), policy.Secret)
			l.wantThrough("control", send(part("some more words")))
		}
	}
}
