package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// way is one path from a client to the origin.
type way struct {
	name  string
	proxy *url.URL // nil = direct
	roots *x509.CertPool
}

// client speaks HTTP/1.1, as curl and most SDKs do; fresh makes every request
// open its own connection.
func (w way) client(fresh bool) *http.Client {
	t := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: w.roots},
		MaxIdleConnsPerHost: 64,
		DisableKeepAlives:   fresh,
		DisableCompression:  true,
		Protocols:           new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if w.proxy != nil {
		t.Proxy = http.ProxyURL(w.proxy)
	}
	return &http.Client{Transport: t, Timeout: time.Minute}
}

type measurement struct {
	name, format string
	measure      func(ctx context.Context, w way, origin string) (float64, error)
}

const (
	window = 1500 * time.Millisecond
	// rounds is how often each way is measured, the ways taking turns, so that
	// the machine's moods meet all of them; the median counts.
	rounds = 3
)

// measure is m's figures for each of the ways.
func (l *lab) measure(ctx context.Context, m measurement) ([]float64, error) {
	all := make([][]float64, len(l.ways))
	for range rounds {
		for i, w := range l.ways {
			v, err := m.measure(ctx, w, l.origin)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", m.name, w.name, err)
			}
			all[i] = append(all[i], v)
		}
	}
	medians := make([]float64, len(all))
	for i, values := range all {
		slices.Sort(values)
		medians[i] = values[rounds/2]
	}
	return medians, nil
}

var measurements = []measurement{
	{"requests/s, keep-alive, 1 client", "%.0f", rate(1, false)},
	{"requests/s, keep-alive, 8 clients", "%.0f", rate(8, false)},
	{"requests/s, fresh connections, 1 client", "%.0f", rate(1, true)},
	{"requests/s, fresh connections, 8 clients", "%.0f", rate(8, true)},
	{"p50 ms, keep-alive, 1 client", "%.3f", quantile(0.50)},
	{"p99 ms, keep-alive, 1 client", "%.3f", quantile(0.99)},
	{"10 MB download, MB/s", "%.0f", transfer(http.MethodGet, "/10mb")},
	{"10 MB upload, MB/s", "%.0f", transfer(http.MethodPost, "/upload")},
	{"SSE first byte, ms", "%.2f", firstByte},
}

// hammer sends GET /hello from n clients for the window and returns how long
// each took.
func hammer(ctx context.Context, w way, origin string, n int, fresh bool) ([]time.Duration, error) {
	client := w.client(fresh)
	defer client.CloseIdleConnections()
	if err := get(ctx, client, origin+"/hello"); err != nil {
		return nil, err
	}
	var (
		mu    sync.Mutex
		all   []time.Duration
		first error
		wg    sync.WaitGroup
		end   = time.Now().Add(window)
	)
	for range n {
		wg.Go(func() {
			var took []time.Duration
			var err error
			for err == nil && time.Now().Before(end) {
				start := time.Now()
				err = get(ctx, client, origin+"/hello")
				took = append(took, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if first == nil {
				first = err
			}
		})
	}
	wg.Wait()
	return all, first
}

func rate(n int, fresh bool) func(context.Context, way, string) (float64, error) {
	return func(ctx context.Context, w way, origin string) (float64, error) {
		took, err := hammer(ctx, w, origin, n, fresh)
		return float64(len(took)) / window.Seconds(), err
	}
}

func quantile(q float64) func(context.Context, way, string) (float64, error) {
	return func(ctx context.Context, w way, origin string) (float64, error) {
		took, err := hammer(ctx, w, origin, 1, false)
		if err != nil {
			return 0, err
		}
		slices.Sort(took)
		return milliseconds(took[int(q*float64(len(took)-1))]), nil
	}
}

// transfer is the best of some transfers of the 10 MB body.
func transfer(method, path string) func(context.Context, way, string) (float64, error) {
	return func(ctx context.Context, w way, origin string) (float64, error) {
		client := w.client(false)
		defer client.CloseIdleConnections()
		best := 0.0
		for range 8 {
			var content io.Reader
			if method == http.MethodPost {
				content = bytes.NewReader(body)
			}
			start := time.Now()
			if err := send(ctx, client, method, origin+path, content); err != nil {
				return 0, err
			}
			best = max(best, bodyBytes/1e6/time.Since(start).Seconds())
		}
		return best, nil
	}
}

// firstByte is the median time until the first event of a stream of 2 s is
// there; mitmdump holds a stream back until its end.
func firstByte(ctx context.Context, w way, origin string) (float64, error) {
	client := w.client(false)
	defer client.CloseIdleConnections()
	var took []time.Duration
	for range 3 {
		ctx, cancel := context.WithCancel(ctx)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+"/events", nil)
		if err != nil {
			cancel()
			return 0, err
		}
		start := time.Now()
		response, err := client.Do(request)
		if err != nil {
			cancel()
			return 0, err
		}
		_, err = io.ReadFull(response.Body, make([]byte, len("data: first")))
		took = append(took, time.Since(start))
		cancel()
		response.Body.Close()
		if err != nil {
			return 0, err
		}
	}
	slices.Sort(took)
	return milliseconds(took[len(took)/2]), nil
}

func get(ctx context.Context, client *http.Client, url string) error {
	return send(ctx, client, http.MethodGet, url, nil)
}

func send(ctx context.Context, client *http.Client, method, url string, content io.Reader) error {
	request, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		told, _ := io.ReadAll(io.LimitReader(response.Body, 300))
		return fmt.Errorf("%s %s: %s: %s", method, url, response.Status, told)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
