package secretscan

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"
)

const benchValue = "bottle-token-Zk3_9fQ2xL7vT0"

// sized repeats text to about 4 MB.
func sized(text string) []byte {
	return bytes.Repeat([]byte(text), 1+(4<<20)/len(text))[:4<<20]
}

func benchTexts(b *testing.B) map[string][]byte {
	random := make([]byte, 3<<20)
	_, _ = rand.Read(random)
	var hashes strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&hashes, "file%d,%x\n", i, sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
	}
	return map[string][]byte{
		"source": sized(cleanSource(b)),
		"prose":  sized(strings.Repeat("It was the best of times, it was the worst of times; and then some more words follow, with a few numbers (17, 42) in between.\n", 30)),
		"json":   sized(fmt.Sprintf(`{"model":"m","content":%q},`, cleanSource(b)[:64<<10])),
		"hashes": sized(hashes.String()),
		"base64": sized(base64.StdEncoding.EncodeToString(random)),
		"line":   sized(strings.Repeat("x", 1000) + " key token secret "),
		"words":  sized("key=token; secret: password, api_key = auth "),
		"random": sized(string(random)),
		"gzips":  sized("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x4b\x4c\x4a\x06 " + strings.Repeat("filler ", 23)),
		"zips":   sized("PK\x03\x04\x14\x00\x00\x00\x08\x00" + strings.Repeat("\x00", 20) + "\x4b\x4c\x4a\x06 " + strings.Repeat("filler ", 23)),
		"in64":   sized("H4sIAAAAAAAA/0tMSgY " + strings.Repeat("filler ", 23)),
		"escape": sized(`%41%42\u0041\u0042&#65; text `),
	}
}

// cleanSource is source text without findings.
func cleanSource(b *testing.B) string {
	s := plain(b)
	var text strings.Builder
	for _, file := range corpus(b, 2<<20) {
		if s.Text("file", file) == nil {
			text.WriteString(file)
		}
	}
	return text.String()
}

func BenchmarkReader(b *testing.B) {
	s, err := New([]string{benchValue, "another-known-value-0123456789"})
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range benchTexts(b) {
		b.Run(name, func(b *testing.B) {
			before := cpu(b)
			rounds := 0
			for b.Loop() {
				rounds++
				if _, err := io.Copy(io.Discard, struct{ io.Reader }{s.Reader("body", bytes.NewReader(text))}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(rounds*len(text))/1e6/(cpu(b)-before).Seconds(), "MB/cpu-s")
		})
	}
}

// cpu is the processor time of this process: other processes do not blur it.
func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func BenchmarkRedact(b *testing.B) {
	s, err := New([]string{benchValue, "another-known-value-0123456789"})
	if err != nil {
		b.Fatal(err)
	}
	line := `{"slug":"dev-abc12","actor":"egress","action":"request","decision":"allow","detail":{"host":"api.github.com","method":"GET","path":"/repos/acme/widgets/contents/README.md","status":200}}`
	before, rounds := cpu(b), 0
	for b.Loop() {
		rounds++
		s.Redact(line)
	}
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(rounds), "cpu-ns/op")
}

// BenchmarkText scans single texts as short as those of a request's head.
func BenchmarkText(b *testing.B) {
	s, err := New([]string{benchValue, "another-known-value-0123456789"})
	if err != nil {
		b.Fatal(err)
	}
	for _, text := range []string{
		"GET", "Accept: */*", "content-type", "page=2&per_page=100", "/repos/acme/widgets/issues", "User-Agent: git/2.39.5 (linux)",
		"Content-Type: application/json; charset=utf-8", "X-Request-Id: 123e4567-e89b-12d3-a456-426614174000",
	} {
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			before, rounds := cpu(b), 0
			for b.Loop() {
				rounds++
				if f := s.Text("header", text); f != nil {
					b.Fatal(f)
				}
			}
			b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(rounds), "cpu-ns/op")
		})
	}
}

func BenchmarkHeaders(b *testing.B) {
	s, err := New([]string{benchValue, "another-known-value-0123456789"})
	if err != nil {
		b.Fatal(err)
	}
	headers := []string{"GET", "/repos/acme/widgets/issues", "page=2&per_page=100", "Accept", "application/json", "User-Agent",
		"git/2.39.5 (linux)", "Accept-Encoding", "gzip, deflate", "Content-Type", "application/json; charset=utf-8", "X-Request-Id",
		"123e4567-e89b-12d3-a456-426614174000"}
	before, rounds := cpu(b), 0
	for b.Loop() {
		rounds++
		for _, text := range headers {
			if f := s.Text("header", text); f != nil {
				b.Fatal(f)
			}
		}
	}
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(rounds), "cpu-ns/op")
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := New([]string{benchValue, "another-known-value-0123456789"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRules(b *testing.B) {
	before, rounds := cpu(b), 0
	for b.Loop() {
		rounds++
		if _, err := loadRules(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu(b)-before).Seconds()*1000/float64(rounds), "cpu-ms/op")
}
