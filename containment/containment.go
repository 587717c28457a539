// Package containment proves, from inside an agent's isolation, that nothing
// but the bundle can be reached. Host collects what there is to reach while
// outside; Prove tries to reach it while inside. It knows no backend.
package containment

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Limit bounds a whole proof before a start; every probe runs at once.
const Limit = 400 * time.Millisecond

// Targets is what a proof tries to reach. The zero value still tries raw
// sockets.
type Targets struct {
	// Control is the bundle's host:port, which must answer with HTTP; without
	// it a proof shows nothing. Empty = no bundle role listens.
	Control string `json:"control,omitempty"`
	// TCP are host:port that must not be reached: connected, or refused by
	// what is there.
	TCP []string `json:"tcp,omitempty"`
	// UDP are host:port to which not even a datagram may leave.
	UDP []string `json:"udp,omitempty"`
	// Abstract are names of listening abstract unix sockets, without '@'.
	Abstract []string `json:"abstract,omitempty"`
	// Resolvers are host:port of DNS servers that must not answer.
	Resolvers []string `json:"resolvers,omitempty"`
	// Names are host names that must not resolve.
	Names []string `json:"names,omitempty"`
	// Silent tells that what is stopped vanishes on its way, so that a datagram
	// that could be sent shows nothing: only an answer is a leak.
	Silent bool `json:"silent,omitempty"`
}

// Leak is something that was reached.
type Leak struct {
	// Kind is "tcp", "udp", "icmp", "raw", "abstract" or "dns".
	Kind   string `json:"kind"`
	Target string `json:"target"`
	// How tells what showed it.
	How string `json:"how"`
}

// Report is the outcome of a proof.
type Report struct {
	// Control is empty when the positive control answered, else why not.
	Control string `json:"control,omitempty"`
	Leaks   []Leak `json:"leaks,omitempty"`
	Probes  int    `json:"probes"`
}

// ErrNotContained is matched by every error of Report.Err.
var ErrNotContained = errors.New("containment is not proven")

// Err is nil when the control answered and nothing leaked.
func (r Report) Err() error {
	if r.Control != "" {
		return fmt.Errorf("%w: the bundle does not answer from inside: %s", ErrNotContained, r.Control)
	}
	if r.Probes == 0 {
		return fmt.Errorf("%w: nothing was probed", ErrNotContained)
	}
	if len(r.Leaks) == 0 {
		return nil
	}
	told := make([]string, 0, len(r.Leaks))
	for _, leak := range r.Leaks {
		told = append(told, fmt.Sprintf("%s %s (%s)", leak.Kind, leak.Target, leak.How))
	}
	return fmt.Errorf("%w: the agent could reach %s", ErrNotContained, strings.Join(told, ", "))
}

// probe is one attempt; how is empty when nothing was reached.
type probe struct {
	kind, target string
	run          func(ctx context.Context) (how string)
}

// Prove makes all attempts at once and returns when they have ended, or ctx
// has. An attempt that hangs reached nothing.
func Prove(ctx context.Context, t Targets) Report {
	probes := t.probes()
	report := Report{Probes: len(probes)}
	var (
		mu   sync.Mutex
		done sync.WaitGroup
	)
	if t.Control != "" {
		done.Go(func() {
			if err := control(ctx, t.Control); err != nil {
				report.Control = err.Error()
			}
		})
	}
	for _, p := range probes {
		done.Go(func() {
			how := p.run(ctx)
			if how == "" {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			report.Leaks = append(report.Leaks, Leak{Kind: p.kind, Target: p.target, How: how})
		})
	}
	done.Wait()
	return report
}

func (t Targets) probes() []probe {
	var all []probe
	for _, address := range t.TCP {
		all = append(all, probe{"tcp", address, func(ctx context.Context) string { return tcp(ctx, address) }})
	}
	for _, address := range t.UDP {
		try := udp
		if t.Silent {
			try = ask
		}
		all = append(all, probe{"udp", address, func(ctx context.Context) string { return try(ctx, address) }})
	}
	for _, name := range t.Abstract {
		all = append(all, probe{"abstract", name, func(ctx context.Context) string { return abstract(ctx, name) }})
	}
	for _, server := range t.Resolvers {
		all = append(all, probe{"dns", server, func(ctx context.Context) string { return ask(ctx, server) }})
	}
	for _, name := range t.Names {
		all = append(all, probe{"dns", name, func(ctx context.Context) string { return resolve(ctx, name) }})
	}
	return append(all, sockets(t.Silent)...)
}
