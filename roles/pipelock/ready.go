package pipelock

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// status is what of the child's health is judged and passed on.
type status struct {
	Status           string  `json:"status"`
	Version          string  `json:"version"`
	Mode             string  `json:"mode"`
	Uptime           float64 `json:"uptime_seconds"`
	TLSInterception  bool    `json:"tls_interception_enabled"`
	BodyScan         bool    `json:"request_body_scan_enabled"`
	KillSwitchActive bool    `json:"kill_switch_active"`
}

// fit says what keeps the child from being used.
func (s status) fit() error {
	switch {
	case s.Status != "healthy":
		return fmt.Errorf("it says it is %q", s.Status)
	case s.Mode != "strict":
		return fmt.Errorf("its mode is %q, not strict", s.Mode)
	case s.KillSwitchActive:
		return errors.New("its kill switch is on")
	}
	return nil
}

const (
	pollInterval  = 5 * time.Millisecond
	healthTimeout = time.Second
	maxHealth     = 64 << 10
)

// direct asks children and nobody else: no proxy, no connection kept.
var direct = &http.Client{
	Timeout:   healthTimeout,
	Transport: &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	},
}

// awaitReady returns nil once the child serves its address as it should.
func (c *child) awaitReady(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	why := errors.New("it was not asked yet")
	for {
		err := c.ready(ctx)
		switch {
		case err == nil && !c.dead():
			return nil
		case err != nil && ctx.Err() == nil:
			why = err
		}
		select {
		case <-c.done:
			return c.err
		case <-ctx.Done():
			return fmt.Errorf("the child was not ready within %v: %w", limit, why)
		case <-poll.C:
		}
	}
}

func (c *child) ready(ctx context.Context) error {
	s, err := c.health(ctx)
	if err != nil {
		return err
	}
	if err := s.fit(); err != nil {
		return err
	}
	// It was the child that answered, not somebody who took its address.
	return listens(c.pid, c.address)
}

// health asks the child.
func (c *child) health(ctx context.Context) (status, error) {
	var s status
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.address+"/health", nil)
	if err != nil {
		return s, err
	}
	response, err := direct.Do(request)
	if err != nil {
		return s, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return s, fmt.Errorf("/health answers %s", response.Status)
	}
	return s, json.NewDecoder(io.LimitReader(response.Body, maxHealth)).Decode(&s)
}

// listens reports, as a nil error, that the process owns the socket that
// listens on an IPv4 address.
func listens(pid int, address string) error {
	inode, err := listener(address)
	if err != nil {
		return err
	}
	entries, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if target, err := os.Readlink(entry); err == nil && target == "socket:["+inode+"]" {
			return nil
		}
	}
	return fmt.Errorf("%s is served by another process than the child", address)
}

// listener returns the inode of the socket that listens on an IPv4 address.
func listener(address string) (string, error) {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return "", err
	}
	ip := target.Addr().As4()
	want := fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], target.Port())
	table, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		return "", err
	}
	const local, state, inode, listening = 1, 3, 9, "0A" // columns of proc(5)
	for line := range bytes.Lines(table) {
		if f := strings.Fields(string(line)); len(f) > inode && f[local] == want && f[state] == listening {
			return f[inode], nil
		}
	}
	return "", fmt.Errorf("nobody listens on %s", address)
}

// HealthHandler answers GET /health for the child: 200 with its own words when
// it is fit, else 503.
func (r *Role) HealthHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.Method != http.MethodGet && request.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET is answered here", http.StatusMethodNotAllowed)
			return
		}
		r.mu.Lock()
		current := r.current
		r.mu.Unlock()
		answer, code := status{Status: "unavailable"}, http.StatusServiceUnavailable
		if current != nil {
			if s, err := current.health(request.Context()); err == nil {
				answer = s
				if s.fit() == nil {
					code = http.StatusOK
				}
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(answer) // the client may have gone
	})
}
