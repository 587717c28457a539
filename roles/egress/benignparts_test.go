package egress

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"math/rand/v2"
	"mime/multipart"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/template"
)

// benignParts are the parts of benign requests, the same in every run: numbers
// stand for what is random in life.
func benignParts(t *testing.T) template.FuncMap {
	return template.FuncMap{
		"seq": func(n int) []int {
			numbers := make([]int, n)
			for i := range numbers {
				numbers[i] = i
			}
			return numbers
		},
		"random": randomBytes,
		"sha1":   func(i int) string { sum := sha1.Sum([]byte(fmt.Sprint(i))); return hex.EncodeToString(sum[:]) },
		"sha256": func(i int) string { sum := sha256.Sum256([]byte(fmt.Sprint(i))); return hex.EncodeToString(sum[:]) },
		"sha512": func(i int) string { sum := sha512.Sum512([]byte(fmt.Sprint(i))); return string(sum[:]) },
		"hex":    func(i, n int) string { return hex.EncodeToString([]byte(randomBytes(i, n))) },
		"uuid": func(i int) string {
			b := []byte(randomBytes(i, 16))
			b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
			return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
		},
		"base62": func(i, n int) string {
			const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			text := []byte(randomBytes(i, n))
			for j := range text {
				text[j] = digits[int(text[j])%len(digits)]
			}
			return string(text)
		},
		"base64":    func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"base64url": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
		"lines":     func(width int, s string) string { return linesOf(width, s) },
		"numbers": func(format, s string) string {
			var out strings.Builder
			for i := range len(s) {
				fmt.Fprintf(&out, format, s[i])
			}
			return out.String()
		},
		"dump": func(s string) string { return hex.Dump([]byte(s)) },
		"json": func(s string) string {
			quoted, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			return string(quoted[1 : len(quoted)-1])
		},
		"source":    func(n int) string { return sourceText(t, n) },
		"prose":     func(n int) string { return fileTexts(t, n, "../..", ".md") },
		"png":       func(side int) string { return pictureOf(t, side) },
		"zip":       func() string { return zipOf(t, fileTexts(t, 400_000, "../../canon", ".go")) },
		"targz":     func() string { return tarOf(t, sourceText(t, 400_000)) },
		"multipart": func() string { return multipartOf(t) },
		"grpc":      grpcOf,
	}
}

func randomBytes(seed, n int) string {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], uint64(seed))
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return string(b)
}

// linesOf breaks text into lines of a width.
func linesOf(width int, text string) string {
	var out strings.Builder
	for ; len(text) > width; text = text[width:] {
		out.WriteString(text[:width] + "\n")
	}
	return out.String() + text + "\n"
}

// library is the folder of the standard library's net/http.
var library = sync.OnceValues(func() (string, error) {
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "net/http").Output()
	return strings.TrimSpace(string(dir)), err
})

// sourceText is n bytes of source code, half of it of this package.
func sourceText(t *testing.T, n int) string {
	return fileTexts(t, n/2, ".", ".go") + fileTexts(t, n-n/2, must(library())(t), ".go")
}

// fileTexts is the beginning of the files below a folder, in order, each after
// its name. Tests are left out, as those of a scanner hold what it looks for.
func fileTexts(t *testing.T, n int, dir, ending string) string {
	var text strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && (name == "testdata" || len(name) > 2 && name[0] == '.') {
			return filepath.SkipDir
		} else if entry.IsDir() || !strings.HasSuffix(name, ending) || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		content, err := os.ReadFile(path)
		fmt.Fprintf(&text, "==> %s\n%s\n", path, content)
		if text.Len() > n {
			return filepath.SkipAll
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.String()[:min(n, text.Len())]
}

// pictureOf is a square picture that does not compress well.
func pictureOf(t *testing.T, side int) string {
	random := randomBytes(side, side*side)
	m := image.NewNRGBA(image.Rect(0, 0, side, side))
	for i := range side * side {
		x, y := i%side, i/side
		m.Set(x, y, color.NRGBA{uint8(x), uint8(y), random[i], 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zipOf(t *testing.T, content string) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i, part := range []string{content, "package main\n", ""} {
		w, err := z.Create(fmt.Sprintf("widgets/file%d.go", i))
		if err == nil {
			_, err = w.Write([]byte(part))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func tarOf(t *testing.T, content string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for i, part := range strings.SplitAfter(content, "\n}\n") {
		err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("widgets/part%d.go", i), Mode: 0o644, Size: int64(len(part))})
		if err == nil {
			_, err = w.Write([]byte(part))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_ = z.Close()
	return b.String()
}

// multipartOf is a form with a field and files.
func multipartOf(t *testing.T) string {
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	if err := form.SetBoundary("----WebKitFormBoundary7MA4YWxkTrZu0gW"); err != nil {
		t.Fatal(err)
	}
	_ = form.WriteField("authenticity", "yes")
	_ = form.WriteField("description", "keys and tokens of the \"widgets\" project, explained")
	for _, file := range []struct{ name, content string }{
		{"screenshot.png", pictureOf(t, 150)},
		{"widgets.zip", zipOf(t, sourceText(t, 200_000))},
		{"widgets.tar.gz", tarOf(t, sourceText(t, 300_000))},
		{"transport.go", sourceText(t, 20_000)},
	} {
		w, err := form.CreateFormFile("files[]", file.name)
		if err == nil {
			_, err = w.Write([]byte(file.content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// grpcOf is a stream of messages, each a field of text and one of bytes.
func grpcOf() string {
	var b []byte
	for i := range 20 {
		name, data := fmt.Sprintf("projects/_/buckets/widgets/objects/object-%d", i), randomBytes(i, 10_000)
		var message []byte
		for field, value := range []string{name, data} {
			message = append(message, byte((field+1)<<3|2))
			message = binary.AppendUvarint(message, uint64(len(value)))
			message = append(message, value...)
		}
		b = append(b, 0)
		b = binary.BigEndian.AppendUint32(b, uint32(len(message)))
		b = append(b, message...)
	}
	return string(b)
}
