// Command scan measures how fast texts are scanned: by secretscan, or by
// gitleaks with its own rules and the regular expressions it was built with
// (the build tag gore2regex takes RE2). It is a program of its own so that only
// it links RE2.
//
// Usage: scan secretscan|gitleaks FILE…; it prints two numbers a file, in
// megabytes per second: what a core does that nobody disturbs, by the fastest
// scan of each piece, and what it did in the median of this run.
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/zricethezav/gitleaks/v8/detect"

	"github.com/claude-bottle/claude-bottle/secretscan"
)

const (
	// piece is how much is scanned at once, as gitleaks cuts files.
	piece = 100_000
	// In each of several turns over the files, so that a disturbance of seconds
	// does not count, each piece is scanned rounds times or more, for pieceTime at
	// least.
	turns     = 3
	rounds    = 2
	pieceTime = 10 * time.Millisecond
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "scan:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: scan secretscan|gitleaks FILE…")
	}
	scan, err := engine(args[0])
	if err != nil {
		return err
	}
	var texts []*text
	for _, name := range args[1:] {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		pieces := slices.Collect(slices.Chunk(content, piece))
		texts = append(texts, &text{len(content), pieces, make([][]time.Duration, len(pieces))})
	}
	for range turns {
		for _, t := range texts {
			t.turn(scan)
		}
	}
	for _, t := range texts {
		fmt.Println(t.rates())
	}
	return nil
}

// text is a file in pieces, and how long each scan of each took.
type text struct {
	size   int
	pieces [][]byte
	took   [][]time.Duration
}

func (t *text) turn(scan func([]byte)) {
	for i, p := range t.pieces {
		for n, start := 0, time.Now(); n < rounds || time.Since(start) < pieceTime; n++ {
			begin := time.Now()
			scan(p)
			t.took[i] = append(t.took[i], time.Since(begin))
		}
	}
}

func (t *text) rates() (best, median float64) {
	var fastest, middle time.Duration
	for _, times := range t.took {
		slices.Sort(times)
		fastest += times[0]
		middle += times[len(times)/2]
	}
	megabytes := float64(t.size) / 1e6
	return megabytes / fastest.Seconds(), megabytes / middle.Seconds()
}

func engine(name string) (func([]byte), error) {
	switch name {
	case "secretscan":
		scanner, err := secretscan.New([]string{"bottle-token-Zk3_9fQ2xL7vT0", "another-known-value-0123456789"})
		return func(text []byte) { scanner.Bytes("text", text) }, err
	case "gitleaks":
		detector, err := detect.NewDetectorDefaultConfig()
		return func(text []byte) { detector.DetectBytes(text) }, err
	}
	return nil, fmt.Errorf("%q is neither secretscan nor gitleaks", name)
}
