package secretscan_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/secretscan"
)

const (
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	digits = "0123456789"
)

// drawn is text of n characters of an alphabet.
func drawn(random *rand.Rand, n int, alphabet string) string {
	out := make([]byte, n)
	for {
		for i := range out {
			out[i] = alphabet[random.IntN(len(alphabet))]
		}
		if bytes.ContainsAny(out, digits) || !strings.Contains(alphabet, lower) {
			return string(out) // letters alone are no generic secret
		}
	}
}

// drawShapes draws a secret of each shape that nobody told the scanner of, as
// it is carried out: a generic one has a name.
var drawShapes = map[string]func(*rand.Rand) string{
	"anthropic": func(r *rand.Rand) string { return "sk-ant-api03-" + drawn(r, 93, upper+lower+digits+"-_") + "AA" },
	"aws":       func(r *rand.Rand) string { return "AKIA" + drawn(r, 16, upper+"234567") },
	"github":    func(r *rand.Rand) string { return "ghp_" + drawn(r, 36, upper+lower+digits) },
	"hex":       func(r *rand.Rand) string { return "api_key=" + drawn(r, 40, "0123456789abcdef") },
	"base36":    func(r *rand.Rand) string { return "secret: " + drawn(r, 40, lower+digits) },
	"base62":    func(r *rand.Rand) string { return `"token":"` + drawn(r, 32, upper+lower+digits) + `"` },
}

// surroundings are what stands around a secret where it leaves.
var surroundings = func() []string {
	list := []string{
		"%s", "?q=%s&x=1", "see [x](https://c.test/?q=%s) first", "<https://c.test/?q=%s>", "![](https://c.test/%s \"picture\")",
		"%s.txt", "%s@host", "<%s>", "tree/%s/file", "/x-%s-y.png", `{"%s":1}`, "Cookie: theme=dark; note=%s", "agent/1 (%s)",
		"author %s <a@c.test> 1700000000 +0000\n", "name_%s", "text/html;note=\"%s\"", "note=%s\r\n", "refs/heads/attack/%s", "\x00\x00%s\x00\x00", "\xff\xfe\x80%s\x80\xff", "é%sé",
	}
	for c := byte(1); c < 0x80; c++ {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("%(_-=+/", c) >= 0:
		default:
			list = append(list, "q %s"+strings.ReplaceAll(string(c), "%", "%%")+"x")
		}
	}
	return list
}()

// TestShapesAreFoundInEveryForm draws many secrets of each shape; none may get
// out in any encoding, at any place. The draws are the same in every run.
func TestShapesAreFoundInEveryForm(t *testing.T) {
	s := mustNew(t)
	random := rand.New(rand.NewPCG(3, 5))
	for shape, draw := range sortedByKey(drawShapes) {
		for range 8 {
			secret := draw(random)
			for name, encode := range encoders {
				if name == "base32 at 3" && shape == "aws" {
					continue // letters stand before it
				}
				missed(t, s, shape+" in "+name, encode(secret), surroundings[random.IntN(len(surroundings))])
			}
			for _, outer := range []string{"base64", "hex", "percent", "JSON u"} {
				for _, inner := range []string{"base64", "base64 url", "hex", "base32", "percent"} {
					missed(t, s, shape+" in "+inner+" in "+outer, encoders[outer](encoders[inner](secret)), surroundings[random.IntN(len(surroundings))])
				}
			}
		}
		for _, around := range surroundings {
			missed(t, s, shape, draw(random), around)
		}
	}
}

func missed(t *testing.T, s *secretscan.Scanner, name, form, around string) {
	t.Helper()
	if text := fmt.Sprintf(around, form); s.Text("body", text) == nil {
		t.Errorf("%s got out: %q", name, text)
	}
}

func sortedByKey[V any](m map[string]V) func(yield func(string, V) bool) {
	return func(yield func(string, V) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}

// dumps are ways to print bytes that are no encodings of their own.
var dumps = map[string]func(string) string{
	"base64 in lines of 8": func(s string) string { return "\n" + wrap(base64.StdEncoding.EncodeToString([]byte(s)), 8) },
	"base64 in lines of 60": func(s string) string {
		return "\n" + wrap(base64.StdEncoding.EncodeToString([]byte("some words: "+s)), 60)
	},
	"base64 with CR LF": func(s string) string {
		return strings.ReplaceAll(wrap(base64.StdEncoding.EncodeToString([]byte(s)), 20), "\n", "\r\n")
	},
	"decimal":    func(s string) string { return strings.Trim(strings.ReplaceAll(fmt.Sprint([]byte(s)), " ", ","), "") },
	"JSON array": func(s string) string { return strings.ReplaceAll(fmt.Sprint([]byte(s)), " ", ", ") },
	"hex dump":   func(s string) string { return fmt.Sprintf("% x", s) },
	"colons":     func(s string) string { return strings.ReplaceAll(fmt.Sprintf("% X", s), " ", ":") },
	"octal": func(s string) string {
		var out strings.Builder
		for i := range len(s) {
			fmt.Fprintf(&out, `\%03o`, s[i])
		}
		return out.String()
	},
}

func TestShapesAreFoundInDumps(t *testing.T) {
	s := mustNew(t)
	random := rand.New(rand.NewPCG(13, 17))
	for shape, draw := range sortedByKey(drawShapes) {
		for name, dump := range sortedByKey(dumps) {
			for range 8 {
				form := dump(draw(random))
				missed(t, s, shape+" as "+name, form, "first line\n{\"data\": %s}\n")
				text := "first line\n{\"data\": " + form + "}\n"
				cut := random.IntN(len(text))
				if released, found, err := stream(s, text[:cut], text[cut:]); found == nil || err != nil || released == text {
					t.Errorf("%s as %s cut at %d: %v %v", shape, name, cut, found, err)
				}
			}
		}
	}
}

// TestHostLabelsAreFound: labels fold letters, hold no underscore, and end after
// 63 characters.
func TestHostLabelsAreFound(t *testing.T) {
	s := mustNew(t)
	random := rand.New(rand.NewPCG(7, 11))
	for range 50 {
		for _, shape := range []string{"anthropic", "aws"} {
			secret := strings.ReplaceAll(strings.TrimRight(drawShapes[shape](random), "-_"), "_", "-")
			labels := slices.Collect(slices.Chunk([]byte(secret), 50))
			parts := make([]string, len(labels))
			for i, label := range labels {
				parts[i] = strings.Trim(string(label), "-")
			}
			name := strings.Join(parts, ".") + ".wild.example.com"
			for _, text := range []string{name, strings.ToLower(name), strings.ReplaceAll(strings.ToLower(name), ".", "")} {
				if shape == "aws" && !strings.Contains(text, ".") {
					continue // nothing tells where it ends
				}
				if s.Text("host name", text) == nil {
					t.Errorf("%s got out: %s", shape, text)
				}
			}
		}
	}
	for _, name := range []string{"akiachanged-the-docs.example.com", "sk-ant-farm-docs.example.com", "sk-ant-api03-your-key-here-goes-in-this-place-please.example.com"} {
		if f := s.Text("host name", name); f != nil {
			t.Errorf("control %s: %v", name, f)
		}
	}
}

// TestNamedValuesInPaths: a value behind a telling name is a secret, a hash or
// a name is not.
func TestNamedValuesInPaths(t *testing.T) {
	s := mustNew(t)
	value := "q9Zt7Lw2Xk5Rb8Nv3Mc6Hd1Jf4Gs0P"
	for _, text := range []string{
		"/token/" + value, "/v1/secret/" + value + "/x", "/api-key/" + value, "refs/heads/api_key-" + value,
		"X-Api-Key: " + value, "note: Bearer " + value + ".", `{"apiKey":"` + value + `"}`, "?access_token=" + value + "&x=1", "Secret: " + value,
	} {
		if s.Text("path", text) == nil {
			t.Errorf("got out: %s", text)
		}
	}
	for _, text := range []string{
		"/commit/9d1a2b3c4d5e6f708192a3b4c5d6e7f801234567", "/tokens/design-tokens-for-buttons", "/secret/my-database-password-name",
		"/token/123e4567-e89b-12d3-a456-426614174000", "Bearer tokens are described in RFC6750-and-elsewhere", "/npm/token-types-2.1.0.tgz",
	} {
		if f := s.Text("path", text); f != nil {
			t.Errorf("control %s: %v", text, f)
		}
	}
}
