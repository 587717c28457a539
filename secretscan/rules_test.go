package secretscan_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
)

// The shapes of three planted secrets, none of which anyone has issued.
var shapes = map[string]string{
	"anthropic-api-key": "sk-ant-api03-" + strings.Repeat("Zk3Qn8VxT2LrY7WbM4HsD9CfJ6PgA1K", 3) + "AA",
	"aws-access-token":  "AKIA" + "Q3ZT7WLN5XKB2YRM",
	"generic-api-key":   `api_key = "q9Zt7Lw2Xk5Rb8Nv3Mc6Hd1Jf4Gs0P"`,
	"github-pat":        token,
}

func TestTokenShapes(t *testing.T) {
	s := mustNew(t)
	for rule, secret := range shapes {
		for name, text := range map[string]string{
			"alone":            secret,
			"in a URL":         "/v1/items?q=" + strings.ReplaceAll(strings.ReplaceAll(secret, `"`, "%22"), " ", "%20"),
			"in JSON":          fmt.Sprintf(`{"note":%q}`, "text "+secret+" text"),
			"allow comment":    secret + " # gitleaks:allow",
			"with false":       "false " + secret + " false",
			"in base64":        base64.StdEncoding.EncodeToString([]byte("x: " + secret + "\n")),
			"in hex":           fmt.Sprintf("%x", secret+"\n"),
			"in base64 twice":  base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(secret + "\n")))),
			"between newlines": "\n" + secret + "\n",
		} {
			found := s.Text("body", text)
			if found == nil {
				t.Errorf("%s %s: nothing in %q", rule, name, text)
				continue
			}
			if strings.HasPrefix(name, "alone") && found.Rule != rule {
				t.Errorf("%s %s: %v", rule, name, found)
			}
			if clean := s.Redact(text); clean == text || s.Text("log", clean) != nil {
				t.Errorf("%s %s: redacted to %q", rule, name, clean)
			}
			for cut := 0; cut < len(text); cut += 5 {
				released, streamed, err := stream(s, text[:cut], text[cut:])
				if streamed == nil || err != nil || released == text {
					t.Fatalf("%s %s cut at %d: %v %v", rule, name, cut, streamed, err)
				}
			}
		}
	}
}

func TestRulesForCertainFilesApplyEverywhere(t *testing.T) {
	s := mustNew(t)
	for rule, text := range map[string]string{
		"nuget-config-password": `<add key="ClearTextPassword" value="q9Zt7Lw2Xk5R" />`,
		"freemius-secret-key":   `'secret_key' => 'sk_Zk3Qn8VxT2LrY7WbM4HsD9CfJ6Pg!'`,
	} {
		if f := s.Text("body", text); f == nil {
			t.Errorf("%s: nothing in %s", rule, text)
		}
	}
	if f := s.Text("body", `<add key="Timeout" value="q9Zt7Lw2Xk5R" />`); f != nil {
		t.Errorf("control: %v", f)
	}
}

func TestFalseIsNoExcuse(t *testing.T) {
	s := mustNew(t)
	// A token with "false" in it, which gitleaks lets pass.
	if s.Text("body", "ghp_"+"false8VxT2LrY7WbM4HsD9CfJ6PgA1Ke0uBt") == nil {
		t.Error("nothing found")
	}
}

// TestOrdinaryTrafficPasses: what agents send all day must not be refused.
func TestOrdinaryTrafficPasses(t *testing.T) {
	s := mustNew(t, planted...)
	image := make([]byte, 60_000)
	for i := range image {
		image[i] = byte(i * i >> 3)
	}
	for name, text := range map[string]string{
		"git pkt-lines":    "0011command=fetch\n0001000fofs-delta\n0032want 9d1a2b3c4d5e6f708192a3b4c5d6e7f801234567\n0032have 0f1e2d3c4b5a69788796a5b4c3d2e1f001234567\n0000",
		"image in JSON":    `{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + base64.StdEncoding.EncodeToString(image) + `"}}`,
		"hashes":           `{"sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","commit":"9d1a2b3c4d5e6f708192a3b4c5d6e7f801234567"}`,
		"npm metadata":     `{"dist":{"integrity":"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==","tarball":"https://registry.npmjs.org/a/-/a-1.0.0.tgz"}}`,
		"pip request":      "GET /simple/requests/ HTTP/1.1\r\nUser-Agent: pip/24.0 {\"cpu\":\"x86_64\",\"distro\":{\"id\":\"bookworm\"}}\r\n",
		"uuid and cookies": "Cookie: session_id=; theme=dark; uuid=123e4567-e89b-12d3-a456-426614174000",
		"code":             "func (c *Client) SetAuthToken(token string) { c.token = token }\npassword = os.environ[\"DB_PASSWORD\"]\nkey := flag.String(\"key\", \"\", \"path of the key\")\n",
		"template":         "token: ${{ secrets.GITHUB_TOKEN }}\napiKey: <your-api-key-here>\n",
	} {
		if found := s.Text("body", text); found != nil {
			t.Errorf("%s: %v", name, found)
		}
		if released, found, err := stream(s, text); found != nil || err != nil || released != text {
			t.Errorf("%s as stream: %v %v", name, found, err)
		}
	}
}

// TestMemoryIsBounded: whatever the text, a reader is never far ahead of what
// it released.
func TestMemoryIsBounded(t *testing.T) {
	s := mustNew(t, planted...)
	for name, unit := range map[string]string{
		"one word":        "x",
		"hex":             "0123456789abcdef",
		"key headers":     "-----BEGIN RSA PRIVATE KEY-----",
		"curl":            "curl -x ",
		"escapes":         `\u00`,
		"ampersands":      "b &bufw, c",
		"zeros":           "a\x00",
		"value beginning": planted[0][:7],
		"container heads": "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + strings.Repeat(" filler", 50),
	} {
		source := &counting{Reader: io.LimitReader(&endless{unit: unit}, 450<<10)}
		r := s.Reader("body", source)
		buf := make([]byte, 1000)
		var released int64
		for {
			n, err := r.Read(buf)
			released += int64(n)
			if ahead := source.n - released; ahead > 350<<10 {
				t.Errorf("%s: %d bytes held", name, ahead)
				break
			}
			if err != nil {
				break
			}
		}
	}
}

type counting struct {
	io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

type endless struct {
	unit string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.unit[e.at%len(e.unit)]
		e.at++
	}
	return len(p), nil
}
