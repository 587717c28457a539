package egress

import (
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/policy"
)

func asError[T error](err error, target *T) bool { return errors.As(err, target) }

func TestAllowedAndRefused(t *testing.T) {
	l := newLab(t, route("api.test", "paths: [/v1]", "methods: [GET, POST]")+
		"  - host: api.test\n    ports: [80]\n    networks: [127.0.0.0/8]\n")
	tests := []struct {
		name, method, url string
		rule              policy.Rule
	}{
		{"https", "GET", "https://api.test/v1/x?y=1", ""},
		{"post", "POST", "https://api.test/v1", ""},
		{"plain", "GET", "http://api.test/anything", ""},
		{"no route", "GET", "https://other.test/", policy.NoRoute},
		{"no route, plain", "GET", "http://other.test/", policy.NoRoute},
		{"suffix", "GET", "https://api.test.evil.test/", policy.NoRoute},
		{"prefix", "GET", "https://evil-api.test/", policy.NoRoute},
		{"port", "GET", "https://api.test:8443/v1", policy.Port},
		{"tls to 80", "GET", "https://api.test:80/", policy.Port},
		{"plain to 443", "GET", "http://api.test:443/v1", policy.Port},
		{"literal", "GET", "https://127.0.0.1/", policy.IPLiteral},
		{"decimal literal", "GET", "https://2130706433/", policy.IPLiteral},
		{"short literal", "GET", "http://127.1/", policy.IPLiteral},
		{"method", "DELETE", "https://api.test/v1", policy.Method},
		{"trace", "TRACE", "http://api.test/", policy.Method},
		{"path", "GET", "https://api.test/v10", policy.Path},
		{"path above", "GET", "https://api.test/v1/../v2", policy.Path},
		{"encoded slash", "GET", "https://api.test/v1/a%2f..%2fb", policy.Path},
		{"parameter", "GET", "https://api.test/v1/a;b", policy.Path},
	}
	for _, h2 := range []bool{false, true} {
		client := l.client(h2)
		for _, test := range tests {
			r, err := http.NewRequest(test.method, test.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			l.asked()
			a, err := l.do(client, r)
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
				continue
			}
			if test.rule != "" {
				l.wantBlock(test.name, a, test.rule)
				if asked := l.asked(); len(asked) > 0 {
					t.Errorf("%s: %s was looked up for a refused request", test.name, asked)
				}
				if len(l.verdicts(`"decision":"block"`, `"rule":"`+string(test.rule)+`"`)) == 0 {
					t.Errorf("%s: the refusal is not in the audit log", test.name)
				}
				continue
			}
			got := l.wantThrough(test.name, a)
			if got.method != test.method || !strings.HasSuffix(test.url, got.target) || got.host != "api.test" {
				t.Errorf("%s: the origin was asked for %s %s of %s", test.name, got.method, got.target, got.host)
			}
			if h2 && r.URL.Scheme == "https" && got.proto != "HTTP/2.0" {
				t.Errorf("%s: the origin was asked over %s", test.name, got.proto)
			}
		}
	}
	if len(l.verdicts(`"action":"request","decision":"allow"`, `"path":"/v1/x"`)) != 2 {
		t.Error("allowed requests are not in the audit log")
	}
	if len(l.verdicts("y=1")) > 0 {
		t.Error("a query is in the audit log")
	}
}

// TestEncodedSlash is forwarded as it came where the route takes it for a slash,
// and nowhere else.
func TestEncodedSlash(t *testing.T) {
	l := newLab(t, route("api.test", "encoded_slash: true", "paths: [/@acme]")+
		route("api.test", "encoded_slash: true", "paths: [/@acme]", "ports: [80]")+route("other.test"))
	for _, target := range []string{"/@acme%2fwidget", "/@acme%2Fwidget/-/widget-1.0.0.tgz?x=%2f", "/@acme/widget"} {
		for _, scheme := range []string{"https", "http"} {
			if got := l.wantThrough(target, l.ask("GET", scheme+"://api.test"+target, "")); got.target != target {
				t.Errorf("%s: the origin was asked for %s", target, got.target)
			}
		}
	}
	if len(l.verdicts(`"path":"/@acme%2fwidget"`, `"decision":"allow"`)) == 0 {
		t.Error("the path is not in the audit log as it was sent")
	}
	for _, target := range []string{"/@evil%2fwidget", "/@acme%2f..%2fevil", "/@acme%2f", "/@acme%2f%2e%2e", "/%2f@acme/x", "/@acme%5cx"} {
		l.wantBlock(target, l.ask("GET", "https://api.test"+target, ""), policy.Path)
	}
	l.wantBlock("a secret", l.ask("GET", "https://api.test/@acme%2f"+known, ""), policy.Secret)
	l.wantBlock("a secret around it", l.ask("GET", "https://api.test/@acme%2f"+strings.ReplaceAll(known, "-", "%2f"), ""), policy.Secret)
	l.wantBlock("another route", l.ask("GET", "https://other.test/@acme%2fwidget", ""), policy.Path)
	l.wantThrough("control", l.ask("GET", "https://other.test/@acme/widget", ""))
}

// TestCurl is the client that most agents use.
func TestCurl(t *testing.T) {
	l := newLab(t, route("api.test"))
	curl := func(args ...string) string {
		args = append([]string{"-sS", "--max-time", "10", "--proxy", "http://" + l.proxy, "--cacert", l.path("ca.pem")}, args...)
		out, err := exec.Command("curl", args...).CombinedOutput()
		if err != nil {
			out = append(out, err.Error()...)
		}
		return string(out)
	}
	if out := curl("-d", "data", "https://api.test/a", "https://api.test/b"); out != "hellohello" {
		t.Errorf("curl got %q", out)
	}
	if got := l.origin.all(); len(got) != 2 || got[0].body != "data" {
		t.Errorf("the origin got %v", got)
	}
	if out := curl("https://other.test/"); !strings.Contains(out, "403") {
		t.Errorf("curl got %q", out)
	}
	if out := curl("--connect-to", "other.test:443:api.test:443", "https://other.test/"); !strings.Contains(out, `"rule":"authority-mismatch"`) {
		t.Errorf("curl got %q", out)
	}
	if got := l.origin.all(); len(got) != 0 {
		t.Errorf("the origin got %v", got)
	}
	if out := curl("http://_egress.local/allowlist"); !strings.Contains(out, `"api.test"`) || !strings.Contains(out, `"generation":1`) {
		t.Errorf("curl got %q", out)
	}
}
