package secretscan_test

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/claude-bottle/claude-bottle/secretscan"
)

// The planted values: a plain one, one with characters that escapes change,
// and the shortest possible.
var planted = []string{"Vq8-plainTokenValue_0192837465", `p"a/s\s<w&o>r d+%21é#`, "k7Xq92Lm"}

func mustNew(t testing.TB, known ...string) *secretscan.Scanner {
	t.Helper()
	s, err := secretscan.New(known)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var encoders = map[string]func(string) string{
	"base64":       func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 url":   func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	"base64 at 1":  func(s string) string { return base64.StdEncoding.EncodeToString([]byte("~" + s + "~~")) },
	"base64 at 2":  func(s string) string { return base64.StdEncoding.EncodeToString([]byte("~~" + s + "~")) },
	"hex":          func(s string) string { return hex.EncodeToString([]byte(s)) },
	"HEX":          func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"base32":       func(s string) string { return base32.StdEncoding.EncodeToString([]byte(s)) },
	"base32 lower": func(s string) string { return strings.ToLower(base32.StdEncoding.EncodeToString([]byte(s))) },
	"base32 at 3":  func(s string) string { return base32.StdEncoding.EncodeToString([]byte("abc" + s)) },
	"query":        url.QueryEscape,
	"percent": func(s string) string {
		var out strings.Builder
		for i := range len(s) {
			fmt.Fprintf(&out, "%%%02x", s[i])
		}
		return out.String()
	},
	"some percent": func(s string) string { return fmt.Sprintf("%s%%%02X%s", s[:3], s[3], s[4:]) },
	"JSON":         func(s string) string { out, _ := json.Marshal(s); return string(out) },
	"JSON u": func(s string) string {
		var out strings.Builder
		for _, unit := range utf16.Encode([]rune(s)) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
		return out.String()
	},
	"HTML": html.EscapeString,
	"HTML all": func(s string) string {
		var out strings.Builder
		for _, r := range s {
			fmt.Fprintf(&out, "&#%d;", r)
		}
		return out.String()
	},
	"UTF-16LE": func(s string) string {
		var out []byte
		for _, unit := range utf16.Encode([]rune(s)) {
			out = append(out, byte(unit), byte(unit>>8))
		}
		return string(out)
	},
	"UTF-16BE": func(s string) string {
		var out []byte
		for _, unit := range utf16.Encode([]rune(s)) {
			out = append(out, byte(unit>>8), byte(unit))
		}
		return string(out)
	},
	"plain": func(s string) string { return s },
}

var carriers = []string{"%s", "token=%s&x=1", `{"a": "%s", "b": 2}`, "GET /x/%s HTTP/1.1", "line one\n%s\nline three\n"}

// encodedForms calls fn with every planted value in every encoding and every
// pair of encodings, inside some carrier.
func encodedForms(fn func(name, value, form, text string)) {
	for i, value := range planted {
		for outerName, outer := range encoders {
			for innerName, inner := range encoders {
				form := outer(inner(value))
				c := (len(innerName) + len(outerName)) % len(carriers)
				fn(fmt.Sprintf("value %d as %s in %s, carrier %d", i, innerName, outerName, c), value, form, fmt.Sprintf(carriers[c], form))
			}
		}
	}
}

func TestKnownValuesAreFoundInEveryEncoding(t *testing.T) {
	for i := range planted {
		s := mustNew(t, planted[i])
		other := mustNew(t, "another-value-that-is-not-there")
		encodedForms(func(name, value, form, text string) {
			if value != planted[i] {
				return
			}
			if strings.Contains(name, "as UTF-16") && strings.Contains(name, "in HTML all") {
				return // HTML cannot say NUL
			}
			if strings.Contains(name, "some percent in base64") && len(form) < 20 {
				return // a mutation of 8 bytes, too short to be decoded
			}
			if s.Text("body", text) == nil {
				t.Errorf("%s not found: %q", name, text)
			}
			if f := other.Text("body", text); f != nil && f.Rule == secretscan.KnownSecret {
				t.Errorf("control: %s: %v", name, f)
			}
			if clean := s.Redact(text); clean == text || strings.Contains(clean, form) || s.Redact(clean) != clean {
				t.Errorf("%s not redacted: %q", name, clean)
			}
		})
	}
}

func TestShortValuesAreRefused(t *testing.T) {
	if _, err := secretscan.New([]string{"longenough", "short"}); err == nil || strings.Contains(err.Error(), "short") {
		t.Errorf("got %v", err)
	}
}

func TestSeparatorsAndPieces(t *testing.T) {
	value := planted[0]
	for name, texts := range map[string][]string{
		"dots":          {strings.Join(strings.Split(value, ""), ".")},
		"spaces":        {strings.Join(strings.Split(value, ""), " ")},
		"lines":         {value[:9] + "\n" + value[9:20] + "\n" + value[20:]},
		"upper case":    {strings.ToUpper(value)},
		"labels":        {strings.ToLower(value[:12]) + "." + strings.ToLower(value[12:]) + ".evil.test"},
		"hex with :":    {colons(value)},
		"reversed":      {reverse(value)},
		"two fields":    {`{"a":"` + value[:15] + `","b":"` + value[15:] + `"}`},
		"other order":   {`{"a":"` + value[15:] + `","b":"` + value[:15] + `"}`},
		"two requests":  {"x=" + value[:14], "x=" + value[14:]},
		"three overlap": {value[:10], value[8:20], value[18:]},
	} {
		s := mustNew(t, value)
		var found *secretscan.Finding
		for i, text := range texts {
			if found != nil {
				t.Errorf("%s: found after %d of %d texts", name, i, len(texts))
			}
			found = s.Text("body", text)
		}
		if found == nil {
			t.Errorf("%s: not found in %q", name, texts)
		}
	}
	s := mustNew(t, value)
	for range 5 {
		if f := s.Text("body", "the same piece again: "+value[:14]); f != nil {
			t.Errorf("control: %v", f)
		}
	}
}

func colons(value string) string {
	var out []string
	for i := range len(value) {
		out = append(out, fmt.Sprintf("%02X", value[i]))
	}
	return strings.Join(out, ":")
}

func reverse(value string) string {
	out := []byte(value)
	for i := range out[:len(out)/2] {
		out[i], out[len(out)-1-i] = out[len(out)-1-i], out[i]
	}
	return string(out)
}

// pieces is a reader that gives one piece per Read.
type pieces []string

func (p *pieces) Read(b []byte) (int, error) {
	if len(*p) == 0 {
		return 0, io.EOF
	}
	n := copy(b, (*p)[0])
	if (*p)[0] = (*p)[0][n:]; (*p)[0] == "" {
		*p = (*p)[1:]
	}
	return n, nil
}

// leaks reads everything a Reader gives for text in the given pieces and tells
// what came out and whether a secret was found.
func stream(s *secretscan.Scanner, parts ...string) (released string, found *secretscan.Finding, err error) {
	source := pieces(parts)
	out, err := io.ReadAll(s.Reader("body", &source))
	if errors.As(err, &found) {
		err = nil
	}
	return string(out), found, err
}

func TestStreamsAreTheSameAtEverySplit(t *testing.T) {
	s := mustNew(t, planted...)
	for name, encode := range encoders {
		for _, value := range planted {
			form := encode(value)
			text := `POST body {"note": "hello", "field": "` + form + `", "tail": "more text after it"}` + "\n"
			at := strings.Index(text, form)
			for cut := at - 2; cut < at+len(form)+2; cut++ {
				released, found, err := stream(s, text[:cut], text[cut:])
				if err != nil || found == nil {
					t.Fatalf("%s of %q cut at %d: not found (%v)", name, value, cut, err)
				}
				if strings.Contains(released, form) || len(released) > at+len(form) || !strings.HasPrefix(text, released) {
					t.Fatalf("%s cut at %d: released %q", name, cut, released)
				}
			}
			if released, found, _ := stream(s, strings.Split(text, "")...); found == nil || strings.Contains(released, form) {
				t.Fatalf("%s byte by byte: %v, released %q", name, found, released)
			}
		}
	}
}

func TestCleanStreamsComeThroughUnchanged(t *testing.T) {
	s := mustNew(t, planted...)
	text := strings.Repeat("some text with words, {\"json\": \"va\\u006cues\"}, %41%42 and YmFzZTY0IGVuY29kZWQgdGV4dA==\n", 3000)
	for _, size := range []int{1, 7, 1000, 64 << 10, len(text)} {
		var parts []string
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if size < 10 && len(text)-len(rest) > 200*size {
				n = len(rest)
			}
			parts, rest = append(parts, rest[:n]), rest[n:]
		}
		released, found, err := stream(s, parts...)
		if err != nil || found != nil || released != text {
			t.Errorf("pieces of %d: %v %v, %d of %d bytes", size, found, err, len(released), len(text))
		}
	}
}

func TestInteractiveStreamsDoNotStall(t *testing.T) {
	s := mustNew(t, planted...)
	pr, pw := io.Pipe()
	defer pw.Close()
	r := s.Reader("body", pr)
	for _, message := range []string{"data: {\"type\": \"ping\"}\n\n", "hello", "GET", "{\"token\": \"x\"}", "100% \\o/ & more", "\n"} {
		go func() { _, _ = io.WriteString(pw, message) }()
		got := make([]byte, len(message))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != message {
			t.Fatalf("%q: %q %v", message, got, err)
		}
	}
}

func TestFindingTellsWhere(t *testing.T) {
	s := mustNew(t, planted...)
	text := strings.Repeat("filler line\n", 20000) + "x" + planted[0]
	_, found, err := stream(s, text)
	if err != nil || found == nil {
		t.Fatal(found, err)
	}
	at := int64(len(text) - len(planted[0]))
	if found.Offset != at || found.Line != 20001 || found.Place != fmt.Sprint("body at byte ", at) {
		t.Errorf("%+v, want offset %d", found, at)
	}
	whole := s.Text("body", text)
	if whole == nil || whole.Offset != at || whole.Line != 20001 || whole.Fingerprint != found.Fingerprint {
		t.Errorf("%+v and %+v differ", whole, found)
	}
	if strings.Contains(fmt.Sprintf("%+v %v", found, found), planted[0]) {
		t.Error("a finding tells the secret")
	}
}

func TestFingerprints(t *testing.T) {
	key := []byte("the bottle's key")
	new := func(key []byte) *secretscan.Scanner {
		s, err := secretscan.New(planted, secretscan.WithKey(key))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	base := new(key).For("a.test", nil).Text("x", planted[0]).Fingerprint
	same := new(key).For("a.test", nil).Text("y", encoders["hex"](planted[0])).Fingerprint
	if base != same {
		t.Error("the same secret in the same scope has two fingerprints")
	}
	for name, other := range map[string]string{
		"scope":  new(key).For("b.test", nil).Text("x", planted[0]).Fingerprint,
		"key":    new([]byte("other")).For("a.test", nil).Text("x", planted[0]).Fingerprint,
		"secret": new(key).For("a.test", nil).Text("x", planted[2]).Fingerprint,
	} {
		if other == base {
			t.Errorf("another %s has the same fingerprint", name)
		}
	}
	cleared := new(key).For("a.test", func(f secretscan.Finding) bool { return f.Fingerprint == base })
	if f := cleared.Text("x", planted[0]); f != nil {
		t.Errorf("cleared, but %v", f)
	}
	if f := cleared.Text("x", planted[0]+" "+planted[2]); f == nil {
		t.Error("clearing one secret cleared the next")
	}
}

func TestWithoutRules(t *testing.T) {
	s, err := secretscan.New(planted, secretscan.WithoutRules())
	if err != nil {
		t.Fatal(err)
	}
	if f := s.Text("response", token); f != nil {
		t.Error(f)
	}
	if s.Text("response", encoders["base64"](planted[0])) == nil {
		t.Error("the known value was not found")
	}
}

func TestNilScanner(t *testing.T) {
	var s *secretscan.Scanner
	if s.Text("x", planted[0]) != nil || s.Redact("x") != "x" || s.For("x", nil) != nil {
		t.Error("a nil scanner does something")
	}
	if got, err := io.ReadAll(s.Reader("x", strings.NewReader("abc"))); err != nil || string(got) != "abc" {
		t.Error(got, err)
	}
}

func TestReaderReturnsTheSourcesError(t *testing.T) {
	broken := errors.New("connection reset")
	s := mustNew(t, planted...)
	r := s.Reader("body", io.MultiReader(strings.NewReader("some text "+planted[0][:9]), failing{broken}))
	got, err := io.ReadAll(r)
	if !errors.Is(err, broken) || bytes.Contains(got, []byte(planted[0][:9])) {
		t.Errorf("%q %v", got, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestNamesHaveNoCase: a short value that a name carries in lower case.
func TestNamesHaveNoCase(t *testing.T) {
	s := mustNew(t, planted[2])
	for _, name := range []string{strings.ToLower(planted[2]) + ".example.com", "x-" + strings.ToLower(planted[2]), "X-" + strings.ToUpper(planted[2])} {
		f := s.Name("name", name)
		if f == nil || f.Rule != secretscan.KnownSecret || f.Fingerprint != s.Text("name", planted[2]).Fingerprint {
			t.Errorf("%s: %v", name, f)
		}
		if f := s.Text("body", name); f != nil {
			t.Errorf("control: %s in a text: %v", name, f)
		}
	}
	if f := s.Name("name", "k7xq92l.example.com"); f != nil {
		t.Errorf("control: %v", f)
	}
	if mustNew(t).Name("name", token) == nil || (*secretscan.Scanner)(nil).Name("name", token) != nil {
		t.Error("a name is not scanned like other text")
	}
}

// TestEncodedPieces: a piece of a value is told also where it is encoded, and
// whatever stands before it in what is.
func TestEncodedPieces(t *testing.T) {
	names := []string{"plain", "hex", "HEX", "percent", "JSON u", "HTML all", "UTF-16LE", "base64", "base64 url", "base32", "base32 lower"}
	for value, cut := range map[string]int{"Vq8-T0ken_019283": 8, "Vq8-T0ken_019283??ab~~z": 11, "Vq8-T0ken_019283>>>": 8} {
		for _, name := range names {
			encode := encoders[name]
			for before := range 5 {
				first, second := encode(strings.Repeat("~", before)+value[:cut]), encode(strings.Repeat("~", before)+value[cut:])
				if s := mustNew(t, value); s.Text("first", `{"a":"`+first+`"}`) != nil || s.Text("second", `{"b":"`+second+`"}`) == nil {
					t.Errorf("two pieces of %q in %s behind %d got out", value, name, before)
				}
				if mustNew(t, value).Text("both", `{"b":"`+second+`","a":"`+first+`"}`) == nil {
					t.Errorf("two fields with %q in %s behind %d got out", value, name, before)
				}
				s := mustNew(t, value)
				for range 3 {
					if s.Text("again", first+" "+first) != nil {
						t.Errorf("control: one piece of %q in %s was refused", value, name)
					}
				}
				s = mustNew(t, value)
				if s.Text("first", first) != nil || s.Text("other", encode("another value, of no bottle")) != nil {
					t.Errorf("control: another piece than that of %q in %s was refused", value, name)
				}
			}
		}
	}
}
