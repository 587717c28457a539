package secretscan_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/secretscan"
)

// jwt is a token that nobody has issued.
var jwt = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
	base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"1234567890","name":"Jo Doe","iat":1516239022}`)) + ".Qm3xT8vKc1Ws6Zp0Yh5Rn2Jd9Lf4Bg7UakEwMiXoNtV"

// TestTokensOfWebsEndAnywhere: gitleaks wants a quote or a blank after them.
func TestTokensOfWebsEndAnywhere(t *testing.T) {
	s := mustNew(t)
	for _, around := range surroundings {
		missed(t, s, "jwt", jwt, around)
	}
	missed(t, s, "jwt in an archive", tarred(t, jwt), "%s")
	if f := s.Text("body", "eyJhbGciOi.eyJzdWIi.short and words.like.these.ones"); f != nil {
		t.Errorf("control: %v", f)
	}
}

// pem is a private key, but for its name of no use to anybody.
var pem = "-----BEGIN RSA PRIVATE KEY-----\n" + strings.Repeat("MIIEpAIBAAKCAQEA7bq0Zk3Qn8VxT2LrY7WbM4HsD9CfJ6PgA1Ke0uBtQm3xT8vK\n", 9) + "-----END RSA PRIVATE KEY-----\n"

// TestKeysInForms: a form has a plus sign for each blank of a key's first line.
func TestKeysInForms(t *testing.T) {
	s := mustNew(t)
	form := strings.NewReplacer("\n", "%0A", " ", "+", "+", "%2B", "/", "%2F", "=", "%3D").Replace(pem)
	missed(t, s, "key", form, "name=x&key=%s&more=1")
	missed(t, s, "key", base64.StdEncoding.EncodeToString([]byte(form)), "%s")
	if f := s.Text("body", "note=-----BEGIN+PRIVATE+KEY-----+begins+a+key&x=1"); f != nil {
		t.Errorf("control: %v", f)
	}
}

// TestLinesOfEncodedText: encoders break lines, and what carries the text
// escapes or indents them.
func TestLinesOfEncodedText(t *testing.T) {
	s := mustNew(t)
	breaks := map[string]string{
		"JSON": `\n`, "JSON with CR": `\r\n`, "JSON in JSON": `\\n`, "JSON in JSON in JSON": `\\\\r\\\\n`,
		"YAML": "\n    ", "mail": "\r\n> ", "comment": "\n# ", "shell": " ",
	}
	text := []byte("some words before it, " + token + " and after")
	for name, encoded := range map[string]string{
		"base64": base64.StdEncoding.EncodeToString(text), "base32": base32.StdEncoding.EncodeToString(text), "hex": hex.EncodeToString(text),
	} {
		for where, lineBreak := range breaks {
			if where == "shell" && name == "hex" {
				continue // a list of hashes
			}
			for _, width := range []int{40, 60, 64, 76} {
				form := strings.Join(cutAt(encoded, width), lineBreak) + lineBreak
				missed(t, s, fmt.Sprintf("%s in lines of %d, %s", name, width, where), form, `{"content": "%s", "encoding": "x"}`)
			}
		}
		clean := strings.Join(cutAt(strings.ToLower(encoded), 60), `\n`)
		if f := s.Text("body", clean); f != nil && name == "base64" {
			t.Errorf("control: %v", f)
		}
	}
}

// TestEncodedTextBeforeALine: the next line is not part of it.
func TestEncodedTextBeforeALine(t *testing.T) {
	s := mustNew(t)
	const id = "AKIA3EXAMPQ7RTYUWX2Z"
	for name, form := range map[string]string{
		"base64": base64.RawURLEncoding.EncodeToString([]byte("~" + id)),
		"base32": base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(id)),
	} {
		for _, around := range []string{"line\n%s\nmore\n", `"a":"%s\nmore"`, "%s\r\nmore words", "%s more"} {
			missed(t, s, name, form, around)
		}
	}
}

// TestListsBeginAnywhere: the first number may begin the text, or follow a
// letter, and its base may be written before it.
func TestListsBeginAnywhere(t *testing.T) {
	s := mustNew(t)
	number := func(format string) string {
		var list []string
		for _, c := range []byte(token) {
			list = append(list, fmt.Sprintf(format, c))
		}
		return strings.Join(list, "")
	}
	for _, around := range []string{"%s", "x%s", "é%s", " %s", "note: %s end", "\n%s\n"} {
		missed(t, s, "pairs", strings.TrimSpace(number("%02x ")), around)
		missed(t, s, "pairs with colons", strings.Trim(number("%02X:"), ":"), around)
	}
	missed(t, s, "C", number("0x%02x, "), "{%s}")
	missed(t, s, "C without blanks", number("0X%02X,"), "{%s}")
	missed(t, s, "JSON in lines", number("\n      %d,"), "[%s 0]")
	missed(t, s, "gzip in pairs", fmt.Sprintf("% x", gzipped(t, token)), "%s")
	if f := s.Text("body", "{0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a}, [\n  1,\n  2,\n  33,\n 44, 55, 66, 77, 88, 99, 101, 102]"); f != nil {
		t.Errorf("control: %v", f)
	}
}

// TestLooseEntities: what browsers read is read.
func TestLooseEntities(t *testing.T) {
	s := mustNew(t, planted[0])
	var decimal, hexadecimal, script strings.Builder
	for _, c := range []byte(planted[0]) {
		fmt.Fprintf(&decimal, "&#%d", c)
		fmt.Fprintf(&hexadecimal, "&#X00%X;", c)
		fmt.Fprintf(&script, "%%u%04x", c)
	}
	for name, text := range map[string]string{"decimal": decimal.String(), "hexadecimal": hexadecimal.String(), "script": script.String()} {
		missed(t, s, name, text, "<b>%s</b>")
		if released, found, err := stream(s, strings.Split(text, "")...); found == nil || err != nil || len(released) > len(text)/4 {
			t.Errorf("%s: %v %v, %q released", name, found, err, released)
		}
	}
}

// TestContainersAtAnyPlace: with every header that decompressors take, in every
// part of a body, and in base64 and escapes wherever they begin.
func TestContainersAtAnyPlace(t *testing.T) {
	s := mustNew(t)
	secret := "secret = \"" + token + "\"\n"
	forms := make(map[string]string)
	for _, level := range []int{zlib.NoCompression, zlib.BestSpeed, 5, zlib.DefaultCompression, zlib.BestCompression} {
		forms[fmt.Sprint("zlib at level ", level)] = packed(t, func(w io.Writer) io.WriteCloser {
			z, err := zlib.NewWriterLevel(w, level)
			if err != nil {
				t.Fatal(err)
			}
			return z
		}, secret)
	}
	forms["gzip"] = gzipped(t, secret)
	forms["gzip with a comment"] = packed(t, func(w io.Writer) io.WriteCloser {
		z := gzip.NewWriter(w)
		z.Name, z.Comment = "notes.txt", "mine"
		return z
	}, secret)
	forms["gzip with a long name"] = packed(t, func(w io.Writer) io.WriteCloser {
		z := gzip.NewWriter(w)
		z.Name, z.Comment, z.Extra = strings.Repeat("name ", 500), strings.Repeat("more ", 500), make([]byte, 5000)
		return z
	}, secret)
	forms["zip"] = zipped(t, secret)
	for name, form := range forms {
		for place, text := range map[string]string{
			"first": form, "in the middle": "some text " + form, "in a part": "--b\r\nContent-Type: a/b\r\n\r\n" + form + "\r\n--b--\r\n",
			"percent": "file=" + percentAll(form), "as characters": `{"a":"` + charactersOf(form) + `"}`,
			"as a path": strings.ReplaceAll(form, "%", "%25")[:2] + percentAll(form[2:]),
		} {
			if s.Text("body", text) == nil {
				t.Errorf("%s %s got out", name, place)
			}
		}
		for before := range 3 {
			encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("~", before) + form))
			if strings.HasPrefix(name, "zlib") && before > 0 {
				continue // two bytes tell too little in the middle
			}
			missed(t, s, fmt.Sprintf("%s in base64 behind %d", name, before), encoded, `{"a":"%s"}`)
		}
	}
	small := []byte(forms["zlib at level 5"])
	for window := range byte(8) {
		small[0] = window<<4 | 8
		small[1] = byte(31 - uint16(small[0])<<8%31)
		for place, text := range map[string]string{"first": "%s", "in a part": "--b\r\n\r\n%s\r\n--b--\r\n"} {
			missed(t, s, fmt.Sprintf("zlib with window %d %s", window, place), string(small), text)
		}
	}
	missed(t, s, "raw deflate", deflated(t, secret), "--b\r\nContent-Type: a/b\r\n\r\n%s\r\n--b--\r\n")
	// Deflated text of capitals looks much like text.
	random := rand.New(rand.NewPCG(5, 8))
	for range 200 {
		id := drawShapes["aws"](random)
		missed(t, s, "raw deflate of an id", deflated(t, id), "%s")
		missed(t, s, "raw deflate of an id in a part", deflated(t, id), "--b\r\nContent-Type: a/b\r\n\r\n%s\r\n--b--\r\n")
		missed(t, s, "zlib of an id", "\x28\x15"+deflated(t, id), "%s")
	}
	long := "~" + gzipped(t, noise(150_000)+secret)
	if _, found, err := stream(s, "data: "+base64.StdEncoding.EncodeToString([]byte(long))+"\n"); found == nil || err != nil {
		t.Errorf("a long file behind a byte got out: %v", err)
	}
	slow := cutAt("data: "+base64.StdEncoding.EncodeToString([]byte(long))+"\n", 50)
	if _, found, err := stream(s, append(slow[:4], strings.Join(slow[4:], ""))...); found == nil || err != nil {
		t.Errorf("a long file behind a byte got out when it began slowly: %v", err)
	}
	// Whatever part of what is read at once it begins in.
	for before := 100; before < 2*64<<10; before += 5900 {
		text := strings.Repeat(" ~~ ", before/4) + base64.StdEncoding.EncodeToString([]byte(long)) + "\n"
		if _, found, err := stream(s, text); found == nil || err != nil {
			t.Errorf("a long file behind %d bytes got out: %v", before, err)
		}
	}
	for name, clean := range map[string]string{
		"formulas": strings.Repeat("let f(x)=x^2+x^3 and x^n, ", 2000), "zlib": strings.Repeat(string(small[:2])+"\x01\x00", 50),
		"parts": strings.Repeat("--b\r\nContent-Type: text/plain\r\n\r\nwords and more words of text\r\n", 2000),
	} {
		if _, found, err := stream(s, clean); found != nil || err != nil {
			t.Errorf("control: %s: %v %v", name, found, err)
		}
	}
}

// TestFirstByteAlone: a stream whose first byte comes alone hides no container.
func TestFirstByteAlone(t *testing.T) {
	s := mustNew(t, planted[0])
	body := noise(60) + planted[0] + noise(2000)
	for name, text := range map[string]string{"deflate": deflated(t, body), "huffman": packed(t, func(w io.Writer) io.WriteCloser {
		z, err := flate.NewWriter(w, flate.HuffmanOnly)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}, body), "zlib": zlibbed(t, body), "gzip": gzipped(t, body)} {
		for cut := 1; cut < 40; cut++ {
			if released, found, err := stream(s, text[:cut], text[cut:]); found == nil || err != nil || len(released) > 64 {
				t.Errorf("%s cut at %d: %v %v, %d released", name, cut, found, err, len(released))
			}
		}
	}
	if _, found, err := stream(s, "x", strings.Repeat("y", 100)); found != nil || err != nil {
		t.Errorf("control: %v %v", found, err)
	}
}

func percentAll(text string) string {
	var out strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&out, "%%%02x", text[i])
	}
	return out.String()
}

// charactersOf is bytes as the characters of the same numbers, in JSON.
func charactersOf(text string) string {
	var out bytes.Buffer
	for i := range len(text) {
		fmt.Fprintf(&out, `\u%04x`, text[i])
	}
	return out.String()
}

// TestFollower: a container in pieces is told as long as it goes on, found when
// it ends, and refused when it is too long to be scanned with each next piece.
func TestFollower(t *testing.T) {
	s := mustNew(t)
	for name, test := range map[string]struct{ content, rule string }{
		"secret": {noise(3000) + token, "github-pat"}, "clean": {noise(3000), ""}, "long": {noise(900_000), secretscan.Bomb},
	} {
		f := s.Follow("message")
		var found *secretscan.Finding
		last := 0
		for i, piece := range append(cutAt(gzipped(t, test.content), 1000), "text") {
			if found, last = f.Next([]byte(piece)); found != nil {
				break
			}
			if i == 0 && last != 1000 {
				t.Errorf("%s: %d bytes of the first piece are open", name, last)
			}
		}
		f.Close()
		if rule := ruleOf(found); rule != test.rule || found == nil && last != 0 {
			t.Errorf("%s: found %q, want %q; %d bytes are open at the end", name, rule, test.rule, last)
		}
	}
}

func ruleOf(f *secretscan.Finding) string {
	if f == nil {
		return ""
	}
	return f.Rule
}
