//go:build linux

package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/claude-bottle/claude-bottle/containment"
)

// proofs is how often a bundle on a busy machine may be too slow to answer. A
// leak is never tried again.
const proofs = 5

// answer is what prove prints.
type answer struct {
	Report containment.Report `json:"report"`
	// Missing says why the command cannot be run, Code what a shell would
	// exit with then.
	Missing string `json:"missing,omitempty"`
	Code    int    `json:"code,omitempty"`
}

// prove tries to reach what must not be reached and looks for the command.
func prove(args []string) int {
	if len(args) < 1 {
		fail(usage)
	}
	argv := command(args[1:])
	var targets containment.Targets
	if err := json.Unmarshal([]byte(args[0]), &targets); err != nil {
		fail(err.Error())
	}
	var told answer
	for range proofs {
		ctx, cancel := context.WithTimeout(context.Background(), containment.Limit)
		told.Report = containment.Prove(ctx, targets)
		cancel()
		if len(told.Report.Leaks) > 0 || told.Report.Control == "" {
			break
		}
	}
	env, err := environment()
	if err == nil {
		_, told.Code, err = find(argv[0], env)
	}
	if err != nil {
		told.Missing = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
		return 1
	}
	return 0
}
