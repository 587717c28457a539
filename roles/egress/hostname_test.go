package egress

import (
	"crypto/tls"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// Nobody's credentials, which only their shape gives away.
const (
	shapeAnthropic = "sk-ant-api03-" + "Zk3Qn8VxT2LrY7WbM4HsD9CfJ6PgA1Ke0uBt5Xy_GqRw" + "-" + "Nv2Hj8Lm4Pc6Sd0Fa9Zx3Kt7Ub1We5Yi_oQpRgTnVzMlKhJg" + "AA"
	shapeAWS       = "AKIA" + "Q3ZT7XJ5WNPV2RKD"
	shapeGitHub    = "ghp_" + "Zk3Qn8VxT2LrY7WbM4HsD9CfJ6PgA1Ke" + "0uBt"
)

// cut puts a dot after every n bytes, as a label holds no more than 63, and
// never beside a hyphen.
func cut(text string, n int) string {
	var labels []string
	for len(text) > n {
		at := n
		for text[at] == '-' || text[at-1] == '-' {
			at--
		}
		labels, text = append(labels, text[:at]), text[at:]
	}
	return strings.Join(append(labels, text), ".")
}

// TestHostLabels: a pattern lets the agent write into the name, and a resolver
// would carry that out.
func TestHostLabels(t *testing.T) {
	l := newLab(t, route("\"*.wild.test\"")+route("\"*.wild.test\"", "ports: [80]"))
	toBase32 := func(s string) string {
		return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(s))
	}
	toHex := func(s string) string { return hex.EncodeToString([]byte(s)) }
	labels := map[string]string{
		"deep":            "a." + known + ".b",
		"own separators":  strings.ReplaceAll(known, "-", "."),
		"without any":     strings.ReplaceAll(known, "-", ""),
		"between others":  "www." + toHex(known) + ".cdn",
		"aws, small":      strings.ToLower(shapeAWS),
		"aws, small, cut": "akia." + strings.ToLower(shapeAWS[4:]),
		"aws, between":    "x." + shapeAWS + ".y",
		"over hyphens":    strings.ReplaceAll(shapeAnthropic, "-", "."),
	}
	for name, secret := range map[string]string{
		"known": known, "anthropic": shapeAnthropic, "aws": shapeAWS, "github": shapeGitHub,
	} {
		labels[name] = cut(secret, 60)
		labels[name+", cut"] = cut(secret, 11)
		labels[name+", hex"] = cut(toHex(secret), 60)
		labels[name+", hex, cut"] = cut(toHex(secret), 17)
		labels[name+", base64"] = cut(base64.RawURLEncoding.EncodeToString([]byte(secret)), 60)
		labels[name+", base32"] = cut(toBase32(secret), 60)
		labels[name+", base32, small, cut"] = cut(strings.ToLower(toBase32(secret)), 23)
	}
	for name, label := range labels {
		for _, url := range []string{"https://" + label + ".wild.test/", "https://" + label + ".WILD.test./", "http://" + label + ".wild.test/"} {
			l.wantBlock(name+", "+url, l.ask("GET", url, ""), policy.Secret)
		}
	}
	if asked := l.asked(); len(asked) > 0 {
		t.Errorf("%v was looked up", asked)
	}
	for _, secret := range []string{known, shapeAnthropic, strings.ToLower(shapeAWS), toHex(known)} {
		if len(l.verdicts(secret)) > 0 {
			t.Error("the secret is in the audit log")
		}
	}
	l.wantThrough("control", l.ask("GET", "https://a.wild.test/", ""))
	l.asked()
	// What looks random passes: it was asked for, and nobody has that name.
	for _, label := range []string{
		"d111111abcdef8", "5f4dcc3b5aa765d61d8327deb882cf99.cdn", "550e8400-e29b-41d4-a716-446655440000",
		"ec2-203-0-113-25.eu-west-1.compute", "r3---sn-4g5e6nzz", "my-bucket-1a2b3c.s3.eu-central-1",
	} {
		name := label + ".wild.test"
		if a := l.ask("GET", "https://"+name+"/", ""); a.status != http.StatusBadGateway || !slices.Equal(l.asked(), []string{name}) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	l.wantBlock("the apex", l.ask("GET", "https://wild.test/", ""), policy.NoRoute)
	l.wantBlock("a suffix", l.ask("GET", "https://awild.test/", ""), policy.NoRoute)
}

// TestNamesInTheTunnel may be spelled otherwise than CONNECT's, which says no
// secret as long as all is small.
func TestNamesInTheTunnel(t *testing.T) {
	l := newLab(t, route("\"*.wild.test\""))
	label := base64.RawURLEncoding.EncodeToString([]byte("AKIA3EXAMPQ7RTYUWX2Z"))
	spelled := label + ".wild.test"
	small := strings.ToLower(spelled)
	for name, c := range map[string]struct{ sni, host string }{
		"Host": {small, spelled},
		"SNI":  {spelled, small},
	} {
		conn, response := l.connect(small + ":443")
		if response.StatusCode != http.StatusOK {
			t.Fatalf("CONNECT: %s", response.Status)
		}
		inner := tls.Client(conn, &tls.Config{ServerName: c.sni, InsecureSkipVerify: true})
		l.wantBlock(name, sayTo(t, inner, "GET / HTTP/1.1\r\nHost: "+c.host+"\r\n\r\n"), policy.Secret)
	}
	r, _ := http.NewRequest("GET", "https://"+small+"/", nil)
	r.Host = spelled
	a, err := l.do(l.client(true), r)
	if err != nil {
		t.Fatal(err)
	}
	l.wantBlock(":authority", a, policy.Secret)
	if asked := l.asked(); len(asked) > 0 {
		t.Errorf("%v was looked up", asked)
	}
	if len(l.verdicts(label)) > 0 {
		t.Error("the secret is in the audit log")
	}
	conn, _ := l.connect("a.wild.test:443")
	inner := tls.Client(conn, &tls.Config{ServerName: "A.wild.test", InsecureSkipVerify: true})
	l.wantThrough("control", sayTo(t, inner, "GET / HTTP/1.1\r\nHost: a.WILD.test\r\n\r\n"))
}

// TestShortValueInNames: the names of hosts and headers have no case, and a
// value too short to be told in any case elsewhere is told there.
func TestShortValueInNames(t *testing.T) {
	const short = "k7Xq92LmP"
	l := newLab(t, route("\"*.wild.test\"")+route("api.test"), func(c *Config) {
		c.Scanner = must(secretscan.New([]string{short}))(t)
	})
	for _, host := range []string{strings.ToLower(short), strings.ToUpper(short), "k7xq.92lmp", "x-" + strings.ToLower(short)} {
		l.wantBlock(host, l.ask("GET", "https://"+host+".wild.test/", ""), policy.Secret)
		if asked := l.asked(); len(asked) > 0 {
			t.Errorf("%s: %q was looked up", host, asked)
		}
	}
	l.wantBlock("header", l.ask("GET", "https://api.test/", "", header("X-"+short, "1")), policy.Secret)
	l.wantThrough("control", l.ask("GET", "https://a.wild.test/", ""))
	l.wantThrough("control", l.ask("GET", "https://api.test/", "", header("X-K7xq92l", "1")))
}
