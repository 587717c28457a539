package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/roles/pipelock/config"
)

// proxy is the whole listener.
type proxy struct {
	config     *config.Config
	hooks      hooks
	authority  *tls.Certificate
	secrets    []string
	log        *slog.Logger
	started    time.Time
	killSwitch atomic.Bool
	forward    *httputil.ReverseProxy
	leaves     sync.Map // host → *tls.Certificate
}

func newProxy(c *config.Config, h hooks, authority *tls.Certificate, log *slog.Logger) (*proxy, error) {
	p := &proxy{config: c, hooks: h, authority: authority, log: log, started: time.Now()}
	p.killSwitch.Store(h.killSwitch)
	if file := c.DLP.SecretsFile; file != "" {
		info, err := os.Stat(file)
		if err != nil {
			return nil, fmt.Errorf("secrets_file: %w", err)
		}
		if info.Mode().Perm()&^0o640 != 0 {
			return nil, fmt.Errorf("secrets_file %q has unsafe permissions (mode %04o): restrict to 0600 or 0640", file, info.Mode().Perm())
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		p.secrets = strings.FieldsFunc(string(b), func(c rune) bool { return c == '\n' })
	}
	p.forward = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host },
		Transport:     &http.Transport{DialContext: p.dial, ForceAttemptHTTP2: true, DisableCompression: true},
		FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			p.log.Error("error", "event", "error", "url", r.URL.String(), "error", err.Error())
			http.Error(w, "upstream error", http.StatusBadGateway)
		},
	}
	return p, nil
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/health" && !r.URL.IsAbs() && r.Method != http.MethodConnect {
		p.health(w)
		return
	}
	switch {
	case p.killSwitch.Load():
		http.Error(w, "kill switch active", http.StatusServiceUnavailable)
	case r.Method == http.MethodConnect:
		p.connect(w, r)
	case r.URL.IsAbs() && r.URL.Host != "":
		p.plain(w, r)
	default:
		p.own(w, r)
	}
}

func (p *proxy) health(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	if p.hooks.neverReady {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{
		"status": "healthy", "version": "2.3.0", "mode": p.config.Mode,
		"uptime_seconds":            time.Since(p.started).Seconds(),
		"tls_interception_enabled":  p.config.TLS.Enabled,
		"request_body_scan_enabled": p.config.RequestBodies.Enabled,
		"kill_switch_active":        p.killSwitch.Load(),
	})
}

// own is what pipelock serves beside the proxy, and what must stay out of reach.
func (p *proxy) own(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/fetch", "/ws":
		fmt.Fprintf(w, "reached %s of the firewall\n", r.URL.Path)
	default:
		http.NotFound(w, r)
	}
}

func answerStats(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "reached %s of the firewall\n", r.URL.Path)
}

// block answers with one of pipelock's texts and logs it as pipelock does.
func (p *proxy) block(w http.ResponseWriter, r *http.Request, url, text string) {
	p.log.Warn("blocked", "event", "blocked", "method", r.Method, "url", url, "reason", text)
	http.Error(w, text, http.StatusForbidden)
}

func (p *proxy) connect(w http.ResponseWriter, r *http.Request) {
	target, err := canon.ParseAuthority(r.Host, 443)
	if err != nil {
		http.Error(w, "missing target host", http.StatusBadRequest)
		return
	}
	host := target.Host.String()
	switch {
	case p.secretIn(r.Header):
		p.block(w, r, r.Host, "CONNECT blocked: header DLP match")
		return
	case !p.config.Allows(host):
		p.block(w, r, "https://"+r.Host+"/", "CONNECT blocked: domain not in allowlist: "+host)
		return
	}
	origin, err := p.dial(r.Context(), "tcp", target.String())
	if err != nil {
		if errors.Is(err, errInternal) {
			p.block(w, r, "https://"+r.Host+"/", "CONNECT blocked: "+err.Error())
			return
		}
		http.Error(w, "tunnel dial failed", http.StatusBadGateway)
		return
	}
	defer origin.Close()
	client, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	p.log.Info("tunnel", "event", "tunnel_open", "target", target.String())
	io.WriteString(client, "HTTP/1.1 200 Connection Established\r\n\r\n")
	early := &earlyConn{client, buffered.Reader}
	if p.config.Inspects(host) {
		origin.Close()
		p.intercept(early, target)
		return
	}
	relay(early, origin)
}

func (p *proxy) plain(w http.ResponseWriter, r *http.Request) {
	target, err := canon.ParseAuthority(r.URL.Host, 80)
	switch {
	case err != nil || r.URL.Scheme != "http":
		http.Error(w, "bad request", http.StatusBadRequest)
	case !p.config.Allows(target.Host.String()):
		p.block(w, r, r.URL.String(), "blocked: domain not in allowlist: "+target.Host.String())
	default:
		if p.scanned(w, r) {
			p.forward.ServeHTTP(w, r)
		}
	}
}

var errInternal = errors.New("SSRF blocked")

// dial connects to the first address of a host, if it is of the public internet
// or in a range of the configuration.
func (p *proxy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	target, err := canon.ParseAuthority(address, 0)
	if err != nil {
		return nil, err
	}
	addresses, err := p.resolve(ctx, target.Host)
	if err != nil {
		return nil, err
	}
	for _, ip := range addresses {
		if !canon.GlobalUnicast(ip) && !p.internalAllowed(ip) {
			return nil, fmt.Errorf("%w: %s resolves to internal IP %s", errInternal, target.Host, ip)
		}
	}
	for _, ip := range addresses {
		var conn net.Conn
		if conn, err = new(net.Dialer).DialContext(ctx, network, netip.AddrPortFrom(ip, target.Port).String()); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

func (p *proxy) resolve(ctx context.Context, host canon.Host) ([]netip.Addr, error) {
	if ip, ok := host.IP(); ok {
		return []netip.Addr{ip}, nil
	}
	if ip, ok := p.hooks.hosts[host.String()]; ok {
		return []netip.Addr{ip}, nil
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host.String())
	for i := range addresses {
		addresses[i] = addresses[i].Unmap()
	}
	return addresses, err
}

func (p *proxy) internalAllowed(ip netip.Addr) bool {
	if p.config.SSRF == nil {
		return false
	}
	for _, network := range p.config.SSRF.IPAllowlist {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}
