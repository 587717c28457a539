package secretscan_test

import (
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/secretscan"
)

// bzipped is secret = "<token>" as bzip2 writes it; Go only reads it.
const bzipped = "\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\x1c\xa9\x1c\x5f\x00\x00\x17\xdf\x80\x00\x10\x50\x00\x7d\xe2\x3c\x5e\x65\xb0\x9b" +
	"\xc9\x5e\x40\x20\x00\x50\xc6\x8d\x1a\x01\x93\x21\xa3\x11\xa6\x81\xa6\x06\x00\x03\x40\x1a\x64\x68\x34\x32\x7a\x65\x21\xad" +
	"\xcf\x46\xbb\x75\x62\x74\xe1\xa8\xa1\x82\x81\x3f\xd9\x9d\xa9\x49\x29\x44\x04\x1b\x7b\x74\xbe\x35\x67\x70\x13\x88\x42\xc1" +
	"\x12\xfc\x5d\xc9\x14\xe1\x42\x40\x72\xa4\x71\x7c"

func deflated(t testing.TB, content string) string {
	return packed(t, func(w io.Writer) io.WriteCloser {
		d, err := flate.NewWriter(w, flate.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}, content)
}

// unended is the beginning of a gzip member that takes what follows for its
// content, without an end.
func unended() string {
	head := append([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x00"), 0, 0, 0, 0)
	binary.LittleEndian.PutUint16(head[11:], 0xfff0)
	binary.LittleEndian.PutUint16(head[13:], ^uint16(0xfff0))
	return string(head)
}

// TestContainersAreNotLost: none is dropped unscanned, whatever is made of it.
func TestContainersAreNotLost(t *testing.T) {
	secret := "secret = \"" + token + "\"\n"
	whole := gzipped(t, noise(70_000)+secret+noise(70_000))
	broken := gzipped(t, secret)
	changed := []byte(gzipped(t, secret+noise(100_000)))
	copy(changed[20_000:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	for name, text := range map[string]string{
		"among many":             whole[:30_000] + strings.Repeat(unended(), 40) + whole[30_000:],
		"cut":                    whole[:len(whole)*3/4],
		"wrong sum":              broken[:len(broken)-8] + "\x00\x00\x00\x00" + broken[len(broken)-4:],
		"changed after it":       string(changed),
		"only a magic":           "\x1f\x8b\x08 " + secret + " PK\x03\x04 BZh H4sI UEsD",
		"long in base64":         "data: " + base64.StdEncoding.EncodeToString([]byte(whole)) + "\n",
		"long in base64 lines":   "data:\n" + wrap(base64.StdEncoding.EncodeToString([]byte(whole)), 76),
		"inside a base64 run":    "/upload/" + base64.StdEncoding.EncodeToString([]byte(broken)),
		"bzip2":                  "file: " + bzipped,
		"bzip2 in base64":        base64.StdEncoding.EncodeToString([]byte(bzipped)),
		"raw deflate":            deflated(t, secret),
		"raw deflate after text": deflated(t, noise(100_000)+secret),
		"gzip in gzip in gzip":   gzipped(t, gzipped(t, whole)),
	} {
		s := mustNew(t)
		if s.Text("body", text) == nil {
			t.Errorf("%s: not found", name)
		}
		for _, size := range []int{1500, 64 << 10} {
			released, found, err := stream(s, cutAt(text, size)...)
			if found == nil || err != nil || len(released) == len(text) {
				t.Errorf("%s in pieces of %d: %v %v, %d of %d bytes released", name, size, found, err, len(released), len(text))
			}
		}
	}
	s := mustNew(t)
	many := strings.Repeat(gzipped(t, noise(3000)), 100)
	if released, found, err := stream(s, many); found != nil || err != nil || released != many {
		t.Errorf("control: many whole ones: %v %v", found, err)
	}
	if _, found, _ := stream(s, strings.Repeat(unended(), 40)); found == nil || found.Rule != secretscan.Bomb {
		t.Errorf("many unended ones: %v", found)
	}
}

// cutAt cuts text into pieces of a size.
func cutAt(text string, size int) []string {
	var parts []string
	for ; len(text) > size; text = text[size:] {
		parts = append(parts, text[:size])
	}
	return append(parts, text)
}

// wrap puts line breaks into text.
func wrap(text string, width int) string { return strings.Join(cutAt(text, width), "\n") + "\n" }

// TestNothingOfASecretIsReleased gives a stream byte by byte: what comes out
// before the finding holds not even the beginning of a secret.
func TestNothingOfASecretIsReleased(t *testing.T) {
	known := "Vq8-plainTokenValue_0192837465"
	s := mustNew(t, known)
	secrets := map[string]string{"known": known}
	for shape, draw := range sortedByKey(drawShapes) {
		secrets[shape] = draw(rand.New(rand.NewPCG(1, 9)))
	}
	for shape, secret := range sortedByKey(secrets) {
		for name, encode := range sortedByKey(encoders) {
			if strings.Contains(name, " at ") {
				continue // what stands before it is released
			}
			form := encode(secret)
			before := "POST body\n{\"a\": 1} "
			released, found, err := stream(s, strings.Split(before+form+" more\n", "")...)
			if found == nil || err != nil {
				t.Errorf("%s in %s: %v %v", shape, name, found, err)
				continue
			}
			// A generic secret begins after its name.
			value := strings.LastIndexAny(secret[:len(secret)-10], " =:") + 1
			if most := len(before) + len(encode(secret[:value+4])); len(released) >= most {
				t.Errorf("%s in %s: released %q", shape, name, released)
			}
		}
	}
}
