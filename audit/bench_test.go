package audit_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/claude-bottle/claude-bottle/audit"
)

func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(callers, "-callers"), func(b *testing.B) {
			log := mustOpen(b, filepath.Join(b.TempDir(), "bundle.jsonl"), audit.Options{
				Slug: "dev-abc12", Redact: func(s string) string { return s },
			})
			record := audit.Record{Actor: "egress", Action: "request", Decision: "allow", Detail: map[string]any{
				"host": "api.github.com", "method": "GET", "path": "/repos/acme/widgets/contents/README.md",
				"status": 200, "sent": 1234, "received": 56789, "route": "api.github.com", "ms": 12,
			}}
			b.SetParallelism(callers)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := log.Append(record); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
