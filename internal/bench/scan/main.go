// Command scan measures how fast texts are scanned: by secretscan, or by
// gitleaks with its own rules and the regular expressions it was built with
// (the build tag gore2regex takes RE2). It is a program of its own so that only
// it links RE2.
//
// Usage: scan secretscan|gitleaks FILE…; it prints one number a file, in
// megabytes per second of processor time.
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/zricethezav/gitleaks/v8/detect"

	"github.com/claude-bottle/claude-bottle/secretscan"
)

const (
	// piece is how much is scanned at once, as gitleaks cuts files.
	piece = 100_000
	// rounds is odd, for the median; each takes at least roundTime.
	rounds    = 5
	roundTime = 100 * time.Millisecond
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
		pieces := slices.Collect(slices.Chunk(text, piece))
		speeds := make([]float64, rounds)
		for i := range speeds {
			bytes, start := 0, used()
			for bytes == 0 || used()-start < roundTime {
				for _, p := range pieces {
					scan(p)
				}
				bytes += len(text)
			}
			speeds[i] = float64(bytes) / 1e6 / (used() - start).Seconds()
		}
		slices.Sort(speeds)
		fmt.Println(speeds[rounds/2])
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

// used is the processor time of this process: other processes do not blur it.
func used() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // never for oneself
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
