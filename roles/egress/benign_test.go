package egress

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/claude-bottle/claude-bottle/policy"
)

// benignHosts are those of testdata/benign.
var benignHosts = []string{
	"api.anthropic.com", "api.openai.com", "registry.npmjs.org", "pypi.org", "files.pythonhosted.org",
	"proxy.golang.org", "sum.golang.org", "index.crates.io", "deb.debian.org", "registry-1.docker.io",
	"api.github.com", "github.com", "api.example.com", "telemetry.example.com", "files.example.com", "grpc.example.com",
}

// benign is a request of testdata/benign, which holds what honest clients send:
// each file has requests as they are on the wire, each after a line "### what
// it is". Bodies may be made by the functions of benignParts; one that is
// announced as gzip is compressed here.
type benign struct {
	name, method, host, target string
	h2                         bool
	header                     http.Header
	body                       string
}

func benignRequests(t *testing.T) (all []benign) {
	t.Helper()
	files := must(filepath.Glob("testdata/benign/*.http"))(t)
	for _, file := range files {
		made := template.Must(template.New(filepath.Base(file)).Funcs(benignParts(t)).ParseFiles(file))
		var text strings.Builder
		if err := made.Execute(&text, nil); err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split("\n"+text.String(), "\n### ")[1:] {
			all = append(all, readBenign(t, part))
		}
	}
	return all
}

func readBenign(t *testing.T, text string) benign {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	b := benign{name: lines[0], header: http.Header{}, body: strings.TrimSuffix(body, "\n")}
	method, rest, _ := strings.Cut(lines[1], " ")
	target, proto, ok := strings.Cut(rest, " ")
	if !ok {
		t.Fatalf("%s: no request line: %q", b.name, lines[1])
	}
	b.method, b.target, b.h2 = method, target, proto == "HTTP/2.0"
	for _, line := range lines[2:] {
		name, value, ok := strings.Cut(line, ": ")
		if !ok || name != http.CanonicalHeaderKey(name) {
			t.Fatalf("%s: no header: %q", b.name, line)
		}
		b.header.Add(name, value)
	}
	b.host = b.header.Get("Host")
	b.header.Del("Host")
	return b
}

// send is the request, with more text at the beginning of its body, or in its
// query when it has no body.
func (b benign) send(l *lab, client *http.Client, more string) (a answer, sent string, err error) {
	l.t.Helper()
	target, sent := b.target, b.body
	switch {
	case more != "" && strings.HasPrefix(sent, "{"):
		sent = "{\"extensions\":{\"note\":\"" + more + "\"}," + sent[1:]
	case more != "" && sent != "":
		sent = more + "\n" + sent
	case more != "" && strings.Contains(target, "?"):
		target += "&q=" + more
	case more != "":
		target += "?q=" + more
	}
	if b.header.Get("Content-Encoding") == "gzip" {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = io.WriteString(z, sent)
		_ = z.Close()
		sent = packed.String()
	}
	r, err := http.NewRequest(b.method, "https://"+b.host+target, strings.NewReader(sent))
	if err != nil {
		l.t.Fatalf("%s: %v", b.name, err)
	}
	r.Header = b.header.Clone()
	a, err = l.do(client, r)
	return a, sent, err
}

// TestBenign: what honest clients send arrives, to the byte; the same with one
// secret in it does not.
func TestBenign(t *testing.T) {
	var routes strings.Builder
	for _, host := range benignHosts {
		more := []string{}
		switch host {
		case "registry.npmjs.org":
			more = []string{"encoded_slash: true"}
		case "github.com":
			more = []string{"git: {fetch: true}"}
		}
		routes.WriteString(route(host, more...))
	}
	l := newLab(t, routes.String())
	clients := map[bool]*http.Client{false: l.client(false), true: l.client(true)}
	for _, b := range benignRequests(t) {
		t.Run(b.name, func(t *testing.T) {
			if !slices.Contains(benignHosts, b.host) {
				t.Fatalf("the lab has no host %q", b.host)
			}
			client := clients[b.h2]
			a, sent, err := b.send(l, client, "")
			if err != nil {
				t.Fatal(err)
			}
			if len(sent) > maxCollected {
				t.Fatalf("the body of %d bytes is longer than what the origin collects", len(sent))
			}
			got := l.origin.all()
			if a.status != http.StatusOK || len(got) != 1 {
				t.Fatalf("got %d %s, the origin %d requests", a.status, a.body, len(got))
			}
			if got[0].body != sent || got[0].target != b.target || got[0].method != b.method || got[0].host != b.host {
				t.Errorf("%d bytes of %d arrived, %s %s of %s", len(got[0].body), len(sent), got[0].method, got[0].target, got[0].host)
			}
			for name, values := range b.header {
				if !slices.Equal(got[0].header[name], values) {
					t.Errorf("%s: %q arrived as %q", name, values, got[0].header[name])
				}
			}

			a, _, err = b.send(l, client, shapeAWS)
			if err != nil {
				// The agent was still sending; what counts is the origin.
				a = answer{status: http.StatusForbidden, rule: string(policy.Secret)}
			}
			if a.status != http.StatusForbidden || a.rule != string(policy.Secret) {
				t.Errorf("with a secret: %d %s", a.status, a.body)
			}
			if got := l.origin.all(); len(got) > 0 {
				t.Errorf("with a secret: %q arrived with %d bytes", got[0].target, len(got[0].body))
			}
		})
	}
	if len(l.verdicts(`"decision":"block"`)) == 0 || len(l.verdicts(shapeAWS)) > 0 {
		t.Error("the audit log is not as it should be")
	}
}
