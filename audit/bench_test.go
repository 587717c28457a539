package audit_test

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

func BenchmarkAppend(b *testing.B) {
	scanner, err := secretscan.New([]string{"a-known-value-1234567890"})
	if err != nil {
		b.Fatal(err)
	}
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(callers, "-callers"), func(b *testing.B) {
			log := mustOpen(b, filepath.Join(b.TempDir(), "bundle.jsonl"), audit.Options{
				Slug: "dev-abc12", Redact: scanner.Redact,
			})
			record := audit.Record{Actor: "egress", Action: "request", Decision: "allow", Detail: map[string]any{
				"host": "api.github.com", "method": "GET", "path": "/repos/acme/widgets/contents/README.md",
				"status": 200, "sent": 1234, "received": 56789, "route": "api.github.com", "ms": 12,
			}}
			b.SetParallelism(callers)
			b.ReportAllocs()
			before := cpu(b)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := log.Append(record); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpu is the processor time of this process: other processes do not blur it.
func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
