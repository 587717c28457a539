package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// auditFigure compares what recording a request costs with what the request
// costs, in processor time: of the bundle, and of the whole machine, which is
// busy with origin, bundle and load.
func (l *lab) auditFigure(ctx context.Context) (figure, error) {
	const clients = 8
	before, err := processorTime(l.bundle.Process.Pid)
	if err != nil {
		return figure{}, err
	}
	start := time.Now()
	took, err := hammer(ctx, l.through("egress"), l.origin, clients, false)
	if err != nil {
		return figure{}, err
	}
	machine := time.Since(start) * time.Duration(runtime.NumCPU()) / time.Duration(len(took))
	after, err := processorTime(l.bundle.Process.Pid)
	if err != nil {
		return figure{}, err
	}
	bundle := (after - before) / time.Duration(len(took))
	record, err := l.recording(clients)
	if err != nil {
		return figure{}, err
	}
	percent := func(of time.Duration) float64 { return 100 * float64(record) / float64(of) }
	return figure{
		"audit of one request, µs of a core", fmt.Sprintf("%.1f", float64(record)/float64(time.Microsecond)),
		fmt.Sprintf("%.1f %% of the throughput, %.1f %% of the bundle's own time; budget 5", percent(machine), percent(bundle)),
	}, nil
}

// recording is what the two records of a request cost, redaction included.
func (l *lab) recording(writers int) (time.Duration, error) {
	scanner, err := secretscan.New([]string{"a-known-value-1234567890"})
	if err != nil {
		return 0, err
	}
	log, err := audit.Open(l.path("audit-cost/bundle.jsonl"), audit.Options{Slug: "bench", Redact: scanner.Redact})
	if err != nil {
		return 0, err
	}
	const each = 5000
	begin, err := processorTime(os.Getpid())
	if err != nil {
		return 0, err
	}
	failures := make(chan error, writers)
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				asked := map[string]any{"host": "api.bench.test", "method": "GET", "path": "/hello"}
				answered := map[string]any{"host": "api.bench.test", "method": "GET", "path": "/hello", "status": 200, "bytes_in": int64(64), "bytes_out": int64(0)}
				for action, detail := range map[string]map[string]any{"request": asked, "response": answered} {
					if err := log.Append(audit.Record{Actor: "egress", Action: action, Decision: "allow", Detail: detail}); err != nil {
						failures <- err
						return
					}
				}
			}
		})
	}
	all.Wait()
	close(failures)
	if err := <-failures; err != nil {
		return 0, err
	}
	end, err := processorTime(os.Getpid())
	if err != nil {
		return 0, err
	}
	return (end - begin) / time.Duration(writers*each), log.Close()
}

// processorTime is what a process used so far, proc_pid_stat(5).
func processorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, fields, ok := strings.Cut(string(text), ") ")
	var user, system int64
	all := strings.Fields(fields)
	if ok && len(all) > 12 {
		_, err = fmt.Sscan(all[11]+" "+all[12], &user, &system)
	}
	if err != nil || !ok || len(all) <= 12 {
		return 0, fmt.Errorf("/proc/%d/stat is not as expected", pid)
	}
	return time.Duration(user+system) * time.Second / clockTicks, nil
}

// clockTicks a second are what Linux shows to every program.
const clockTicks = 100
