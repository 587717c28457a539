package secretscan_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/secretscan"
)

// A token of a well-known shape that no one has issued.
const token = "ghp_" + "Zk3Qn8VxT2LrY7WbM4HsD9CfJ6PgA1Ke" + "0uBt"

func packed(t testing.TB, write func(w io.Writer) io.WriteCloser, content string) string {
	t.Helper()
	var out bytes.Buffer
	w := write(&out)
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func gzipped(t testing.TB, content string) string {
	return packed(t, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, content)
}

func zipped(t testing.TB, content string) string {
	t.Helper()
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, name := range []string{"first.txt", "config.env"} {
		w, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, name+"\n"+content); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func tarred(t testing.TB, content string) string {
	t.Helper()
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	if err := archive.WriteHeader(&tar.Header{Name: "a", Size: int64(len(content)), Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(archive, content); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// noise is text that does not compress away.
func noise(n int) string {
	random := rand.New(rand.NewPCG(7, 7))
	var out strings.Builder
	for out.Len() < n {
		out.WriteByte("abcdefghij klmnop\n"[random.IntN(18)])
	}
	return out.String()
}

func TestContainersAreUnpacked(t *testing.T) {
	known := "a-known-value-1234567890"
	for _, secret := range []string{token, known} {
		for name, pack := range map[string]func(content string) string{
			"gzip": func(c string) string { return gzipped(t, c) },
			"zlib": func(c string) string {
				return packed(t, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }, c)
			},
			"zip":            func(c string) string { return zipped(t, c) },
			"tar":            func(c string) string { return tarred(t, c) },
			"tar.gz":         func(c string) string { return gzipped(t, tarred(t, c)) },
			"gzip twice":     func(c string) string { return gzipped(t, gzipped(t, c)) },
			"zip in gzip":    func(c string) string { return gzipped(t, zipped(t, c)) },
			"gzip in a form": func(c string) string { return "--x\r\nname=\"f\"\r\n\r\n" + gzipped(t, c) + "\r\n--x--" },
			"gzip in base64": func(c string) string {
				return `{"data":"` + base64.StdEncoding.EncodeToString([]byte(gzipped(t, c))) + `"}`
			},
		} {
			sizes := []int{0, 90_000}
			if name == "gzip in base64" || secret == known {
				sizes = sizes[:1]
			}
			for _, size := range sizes {
				s, err := secretscan.New([]string{known})
				if err != nil {
					t.Fatal(err)
				}
				text := pack(noise(size) + "\nsecret = \"" + secret + "\"\n" + noise(size))
				if s.Text("body", text) == nil {
					t.Errorf("%s of %d bytes: not found", name, size)
				}
				half := len(text) / 2
				for _, parts := range [][]string{{text}, {text[:half], text[half:]}, {text[:1], text[1:2], text[2:]}} {
					released, found, err := stream(s, parts...)
					if found == nil || err != nil || released == text {
						t.Errorf("%s of %d bytes as stream: %v %v, %d of %d bytes released", name, size, found, err, len(released), len(text))
					}
				}
				clean := pack(noise(size) + "\nsecret = nothing\n" + noise(size))
				if released, found, err := stream(s, clean); found != nil || err != nil || released != clean {
					t.Errorf("control: %s of %d bytes: %v %v", name, size, found, err)
				}
			}
		}
	}
}

func TestBombsAreRefused(t *testing.T) {
	s := mustNew(t)
	bomb := gzipped(t, strings.Repeat("\n", 60<<20))
	if f := s.Text("body", bomb); f == nil || f.Rule != secretscan.Bomb {
		t.Errorf("got %v", f)
	}
	for _, flood := range []string{"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", "PK\x03\x04\x14\x00\x00\x00\x08\x00", "BZh9 ", "H4sIAAAAAAAA/0tMSgY "} {
		if _, f, err := stream(s, strings.Repeat(flood, 10_000)); f == nil || f.Rule != secretscan.Bomb {
			t.Errorf("many of %q: %v %v", flood, f, err)
		}
	}
	if f := s.Text("body", gzipped(t, strings.Repeat("\n", 1<<20))); f != nil {
		t.Errorf("control: %v", f)
	}
}

func TestBrokenContainersPass(t *testing.T) {
	s := mustNew(t)
	whole := gzipped(t, noise(100_000))
	for name, text := range map[string]string{
		"cut":     whole[:len(whole)/2],
		"changed": whole[:500] + "\x00\x00\x00\x00" + whole[504:],
		"magic":   "text \x1f\x8b\x08 and PK\x03\x04 more text",
	} {
		if released, found, err := stream(s, text); found != nil || err != nil || released != text {
			t.Errorf("%s: %v %v", name, found, err)
		}
	}
}

func TestReadersGivenUpLeaveNothingBehind(t *testing.T) {
	s := mustNew(t)
	before := runtime.NumGoroutine()
	text := gzipped(t, noise(200_000))
	for range 10 {
		r := s.Reader("body", strings.NewReader(text))
		if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		runtime.GC()
		if runtime.Gosched(); runtime.NumGoroutine() <= before+2 {
			return
		}
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}
