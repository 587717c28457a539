//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/claude-bottle/claude-bottle/containment"
)

const (
	// alonePatience is how long a bottle without `bottle up` may take to be
	// closed and ready.
	alonePatience = time.Minute
	// alonePause is between two proofs.
	alonePause = 100 * time.Millisecond
)

// runAlone is run where nobody opens the gate: it opens by itself after a proof
// that found nothing to reach but the bundle. Until then the network may not be
// sealed yet, so a leak is tried again; nothing of the agent's runs meanwhile.
func runAlone(targets string, argv []string) int {
	var t containment.Targets
	if err := json.Unmarshal([]byte(targets), &t); err != nil {
		fail(err.Error())
	}
	if t.Control == "" {
		fail("a proof without a positive control shows nothing")
	}
	return run(argv, func(signals <-chan os.Signal) int {
		for deadline := time.Now().Add(alonePatience); ; {
			ctx, cancel := context.WithTimeout(context.Background(), containment.Limit)
			err := containment.Prove(ctx, t).Err()
			cancel()
			if err == nil {
				return 0
			}
			if time.Now().After(deadline) {
				fmt.Fprintf(os.Stderr, "bottle-init: %v; the command is not started. Start the whole bottle anew, not the agent alone\n", err)
				return 125
			}
			if ended(signals) {
				return turnedAway
			}
		}
	})
}

// ended waits for a moment and tells whether a signal ended the waiting.
func ended(signals <-chan os.Signal) bool {
	pause := time.After(alonePause)
	for {
		select {
		case s := <-signals:
			if ends(s) {
				return true
			}
		case <-pause:
			return false
		}
	}
}
