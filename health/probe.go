package health

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// The bounds of one probe. The answer comes from the bottle's side and is
// treated as hostile.
const (
	probeTimeout  = 5 * time.Second
	probeMaxBytes = 1 << 20
)

// Probe asks the bundle at addr, "host:port" or "unix:/path", for its report
// and also returns the body as it came. A bundle that answers "not ready" is
// no error. Without a deadline in ctx it waits 5 seconds.
func Probe(ctx context.Context, addr string) (Report, []byte, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, probeTimeout)
		defer cancel()
	}
	network, target := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, target = "unix", path
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, target)
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://bundle/healthz", nil)
	if err != nil {
		return Report{}, nil, fmt.Errorf("health of %s: %w", addr, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return Report{}, nil, fmt.Errorf("health of %s: no answer, is the bundle running? %w", addr, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, probeMaxBytes+1))
	if err != nil {
		return Report{}, nil, fmt.Errorf("health of %s: %w", addr, err)
	}
	if len(body) > probeMaxBytes {
		return Report{}, nil, fmt.Errorf("health of %s: the answer is longer than %d bytes", addr, probeMaxBytes)
	}
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusServiceUnavailable {
		return Report{}, body, fmt.Errorf("health of %s: unexpected status %s", addr, response.Status)
	}
	var report Report
	if err := json.Unmarshal(body, &report); err != nil {
		return Report{}, body, fmt.Errorf("health of %s: the answer is no report: %w", addr, err)
	}
	report.Ready = report.Ready && response.StatusCode == http.StatusOK
	return report, body, nil
}
