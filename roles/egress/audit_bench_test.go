package egress

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
)

// BenchmarkAudit compares requests that are recorded with requests that are
// not, in turns of one run: overhead-% of the rate, and what recording one
// request costs in processor time, of which other processes take nothing.
func BenchmarkAudit(b *testing.B) {
	l := newLab(b, route("api.test"))
	kept := l.role.Audit
	l.origin.handler = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }
	const clients, requests = 8, 500
	client := &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: l.proxy}), TLSClientConfig: &tls.Config{RootCAs: l.roots}, MaxIdleConnsPerHost: clients,
	}}
	defer client.CloseIdleConnections()
	turn := func(log *audit.Log) (took, cpu time.Duration) {
		l.role.Audit = log
		start, before := time.Now(), processorTime(b)
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				for range requests {
					benchGet(b, client)
				}
			})
		}
		all.Wait()
		l.origin.all()
		return time.Since(start), processorTime(b) - before
	}
	turn(kept) // connections are made
	var on, off, cpuOn, cpuOff time.Duration
	n := 0
	for b.Loop() {
		for i := range 2 {
			if (i+n)%2 == 0 { // neither is always the second
				took, cpu := turn(kept)
				on, cpuOn = on+took, cpuOn+cpu
			} else {
				took, cpu := turn(nil)
				off, cpuOff = off+took, cpuOff+cpu
			}
		}
		n++
	}
	l.role.Audit = kept
	each := float64(n * clients * requests)
	b.ReportMetric(100*(float64(on)/float64(off)-1), "overhead-%")
	b.ReportMetric(float64(cpuOn-cpuOff)/each, "audit-cpu-ns/req")
	b.ReportMetric(float64(cpuOff)/each, "other-cpu-ns/req")
	b.ReportMetric(each/on.Seconds(), "req/s")
}

func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
