package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/claude-bottle/claude-bottle/secretscan"
)

// scanners are the programs that scan, as `make bench` builds them.
var scanners = []struct{ program, engine string }{
	{"bin/bench-scan", "secretscan"}, {"bin/bench-scan", "gitleaks"}, {"bin/bench-scan-re2", "gitleaks"},
}

// benchScanning prints a table of the speed of secretscan and of gitleaks itself
// on the same texts.
func benchScanning(ctx context.Context, out io.Writer, dir string) error {
	texts, err := scanTexts(ctx)
	if err != nil {
		return err
	}
	var files []string
	for _, t := range texts {
		path := filepath.Join(dir, "scan-"+t.name)
		if err := os.WriteFile(path, t.text, 0o600); err != nil {
			return err
		}
		files = append(files, path)
	}
	// Of each scanner, for each text, undisturbed and in the median.
	speeds := make([][]float64, len(scanners))
	for i, s := range scanners {
		printed, err := exec.CommandContext(ctx, s.program, append([]string{s.engine}, files...)...).Output()
		if err != nil {
			return fmt.Errorf("%s %s: %w", s.program, s.engine, err)
		}
		for field := range strings.FieldsSeq(string(printed)) {
			var speed float64
			if _, err := fmt.Sscan(field, &speed); err != nil {
				return fmt.Errorf("%s printed %q: %w", s.program, field, err)
			}
			speeds[i] = append(speeds[i], speed)
		}
		if len(speeds[i]) != 2*len(texts) {
			return fmt.Errorf("%s printed %d figures for %d texts", s.program, len(speeds[i]), len(texts))
		}
	}
	fmt.Fprintln(out, "scanning, MB per second on one core: secretscan beside gitleaks with its own rules, the same pieces of 100 kB,")
	fmt.Fprintln(out, "each by its fastest scan, which nobody disturbed; the last column is secretscan in the median of this run")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tsecretscan\tgitleaks, stdlib\tgitleaks, RE2\tsecretscan/RE2\tbudget\tmedian\t")
	for k, t := range texts {
		own, stdlib, re2 := speeds[0][2*k], speeds[1][2*k], speeds[2][2*k]
		fmt.Fprintf(table, "%s\t%.0f\t%.1f\t%.1f\t%.1f\t%s\t%.0f\t\n", t.name, own, stdlib, re2, own/re2, t.budget, speeds[0][2*k+1])
	}
	return table.Flush()
}

type scanText struct {
	name, budget string
	text         []byte
}

const scanSize = 1 << 20

// scanTexts are what agents send: source and prose without secrets, the same
// source in JSON, and what looks like secrets to whoever searches for
// randomness: hashes, base64, and lines without end.
func scanTexts(ctx context.Context) ([]scanText, error) {
	source, err := cleanSource(ctx)
	if err != nil {
		return nil, err
	}
	quoted, err := json.Marshal(map[string]string{"model": "m", "content": string(source)})
	if err != nil {
		return nil, err
	}
	words := newWords(1)
	var hashes strings.Builder
	for i := 0; hashes.Len() < scanSize; i++ {
		fmt.Fprintf(&hashes, "file%d,%x\n", i, sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16)}))
	}
	return []scanText{
		{"clean source", "200", source},
		{"prose", "200", words.text(scanSize)},
		{"JSON of source", "", quoted},
		{"hashes csv", "20", []byte(hashes.String())},
		{"base64, one line", "20", []byte(base64.StdEncoding.EncodeToString(noise(scanSize * 3 / 4)))},
		{"source, one line", "20", bytes.ReplaceAll(source, []byte("\n"), []byte(" "))},
	}, nil
}

// noise is n bytes without any order, the same every time.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// cleanSource is Go's own source text, without the files in which something is
// found.
func cleanSource(ctx context.Context) ([]byte, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	scanner, err := secretscan.New(nil)
	if err != nil {
		return nil, err
	}
	var text []byte
	err = filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), "src"), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case len(text) >= scanSize:
			return filepath.SkipAll
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := os.ReadFile(path)
		if err == nil && scanner.Bytes("file", file) == nil {
			text = append(text, file...)
		}
		return err
	})
	return text, err
}

// words makes prose: invented words, of which a few are frequent, in lines and
// sentences, the same for the same seed.
type words struct {
	random *rand.Rand
	often  *rand.Zipf
	known  []string
}

func newWords(seed uint64) *words {
	w := &words{random: rand.New(rand.NewPCG(seed, 1))}
	syllables := strings.Fields("an ber con der es for gen hal in jo ka len mor ni or per qui res ser tion un ver wen xi yo zu")
	for range 5000 {
		var word strings.Builder
		for range 1 + w.random.IntN(3) {
			word.WriteString(syllables[w.random.IntN(len(syllables))])
		}
		w.known = append(w.known, word.String())
	}
	w.often = rand.NewZipf(w.random, 1.1, 20, uint64(len(w.known)-1))
	return w
}

// text is at least size bytes of it.
func (w *words) text(size int) []byte {
	text := make([]byte, 0, size+32)
	for line := 0; len(text) < size; {
		word := w.known[w.often.Uint64()]
		text = append(text, word...)
		switch line += len(word) + 1; {
		case line > 90:
			text, line = append(text, ".\n"...), 0
		default:
			text = append(text, ' ')
		}
	}
	return text
}
