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
	// Each piece is scanned rounds times or more, for pieceTime at least.
	rounds    = 5
	pieceTime = 30 * time.Millisecond
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
	for _, name := range args[1:] {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var best, middle time.Duration
		for p := range slices.Chunk(text, piece) {
			var took []time.Duration
			for start := time.Now(); len(took) < rounds || time.Since(start) < pieceTime; {
				begin := time.Now()
				scan(p)
				took = append(took, time.Since(begin))
			}
			slices.Sort(took)
			best += took[0]
			middle += took[len(took)/2]
		}
		megabytes := float64(len(text)) / 1e6
		fmt.Println(megabytes/best.Seconds(), megabytes/middle.Seconds())
	}
	return nil
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
