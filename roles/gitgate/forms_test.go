package gitgate

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// forms are ways to write a text into a file of a repository.
var forms = map[string]func(t *testing.T, text string) string{
	"README.md": func(_ *testing.T, text string) string {
		return "# Widgets\n\n[see](https://c.test/?q=" + text + "&x=1)\n"
	},
	"a.gz": func(t *testing.T, text string) string {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		write(t, z, "notes: "+text+"\n")
		return out.String()
	},
	"a.docx": func(t *testing.T, text string) string { return zipped(t, "word/document.xml", "<w:t>"+text+"</w:t>") },
	"a.jar":  func(t *testing.T, text string) string { return zipped(t, "a.zip", zipped(t, "b.txt", text)) },
	"utf-16": func(_ *testing.T, text string) string { return "\xff\xfe" + wide("note: "+text+"\n") },
	"pretty.json": func(t *testing.T, text string) string {
		lines := base64.StdEncoding.EncodeToString([]byte("some words before it, " + text))
		out, err := json.MarshalIndent(map[string]string{"content": lines[:40] + "\n" + lines[40:] + "\n"}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	},
	"bytes.c": func(_ *testing.T, text string) string {
		return "char a[] = {" + strings.TrimSuffix(strings.ReplaceAll(fmt.Sprintf("%# x", text), " ", ", "), ", ") + "};\n"
	},
	"binary":          func(_ *testing.T, text string) string { return "\x7fELF\x00\x01\x02" + text + "\x00\x00\xff\xfe" },
	"vendor/x.min.js": func(_ *testing.T, text string) string { return "var a='" + text + "';// gitleaks:allow\n" },
	"k8s.yaml": func(_ *testing.T, text string) string {
		return "data:\n  notes: " + base64.StdEncoding.EncodeToString([]byte(text)) + "\n"
	},
}

func write(t *testing.T, w io.WriteCloser, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func zipped(t *testing.T, name, text string) string {
	t.Helper()
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	file, err := archive.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(file, text); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestSecretInEveryForm pushes tokens that nobody knows but by their shape,
// each in a file of another form, and the same files with harmless text.
func TestSecretInEveryForm(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	dir := g.cloned(t)
	random := rand.New(rand.NewPCG(1, 2))
	token := func() string {
		const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
		text := make([]byte, 36)
		for i := range text {
			text[i] = letters[random.IntN(len(letters))]
		}
		return "ghp" + "_" + string(text)
	}
	clean := make(map[string]string)
	for name, form := range forms {
		clean[name] = form(t, "nothing that anybody would take for one")
	}
	commit(t, dir, clean)
	g.passes(t, dir, "HEAD:refs/heads/main")
	for name, form := range forms {
		commit(t, dir, map[string]string{name: form(t, token())})
		g.refuses(t, dir, "remote: git-gate: refused: github-pat in "+name+" ", "HEAD:refs/heads/main")
		git(t, dir, "reset", "-q", "--hard", "HEAD~1")
	}
}
