package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/claude-bottle/claude-bottle/canon"
)

// intercept decrypts a tunnel and proxies each request in it.
func (p *proxy) intercept(client net.Conn, target canon.Authority) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, err := canon.ParseAuthority(r.Host, 443)
		switch {
		case err != nil || asked != target:
			p.block(w, r, "https://"+r.Host+"/", "authority mismatch: blocked")
		case r.Header.Get("Upgrade") != "":
			http.Error(w, "upstream error", http.StatusBadGateway)
		case p.scanned(w, r):
			r.URL.Scheme, r.URL.Host = "https", target.String()
			p.forward.ServeHTTP(w, r)
		}
	})
	done := make(chan struct{})
	var once sync.Once
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		TLSConfig: &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return p.leaf(target.Host)
		}},
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed || s == http.StateHijacked {
				once.Do(func() { close(done) })
			}
		},
	}
	server.ServeTLS(&oneConn{conn: client, done: done}, "", "")
}

// scanned reads the request's headers and body for the known secrets; it
// answers a request that holds one.
func (p *proxy) scanned(w http.ResponseWriter, r *http.Request) bool {
	if p.secretIn(r.Header) {
		p.block(w, r, r.URL.String(), "blocked: request header contains secret")
		return false
	}
	if r.ContentLength == 0 {
		return true
	}
	limit := p.config.RequestBodies.MaxBodyBytes
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		http.Error(w, "upstream error", http.StatusBadGateway)
		return false
	}
	if int64(len(body)) > limit {
		p.block(w, r, r.URL.String(), "blocked: request body too large")
		return false
	}
	if p.holdsSecret(string(body)) {
		p.block(w, r, r.URL.String(), "blocked: request body contains secret: known secret")
		return false
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return true
}

func (p *proxy) secretIn(h http.Header) bool {
	for name, values := range h {
		if !slices.Contains(p.config.RequestBodies.IgnoreHeaders, name) && p.holdsSecret(strings.Join(values, "\n")) {
			return true
		}
	}
	return false
}

func (p *proxy) holdsSecret(text string) bool {
	return slices.ContainsFunc(p.secrets, func(s string) bool { return strings.Contains(text, s) })
}

// leaf mints a certificate of the inspecting authority.
func (p *proxy) leaf(host canon.Host) (*tls.Certificate, error) {
	if cert, ok := p.leaves.Load(host); ok {
		return cert.(*tls.Certificate), nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "pipelock"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip, ok := host.IP(); ok {
		template.IPAddresses = []net.IP{ip.AsSlice()}
	} else {
		template.DNSNames = []string{host.String()}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, p.authority.Leaf, key.Public(), p.authority.PrivateKey)
	if err != nil {
		return nil, err
	}
	cert := &tls.Certificate{Certificate: [][]byte{der, p.authority.Certificate[0]}, PrivateKey: key}
	p.leaves.Store(host, cert)
	return cert, nil
}

// relay copies both ways until both are done.
func relay(client, origin net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, origin}, {origin, client}} {
		both.Go(func() {
			io.Copy(way[0], way[1])
			if half, ok := way[0].(interface{ CloseWrite() error }); ok {
				half.CloseWrite()
			}
		})
	}
	both.Wait()
}

// earlyConn first gives what was read with the request's header.
type earlyConn struct {
	net.Conn
	early *bufio.Reader
}

func (c *earlyConn) Read(b []byte) (int, error) { return c.early.Read(b) }
func (c *earlyConn) CloseWrite() error          { return c.Conn.(*net.TCPConn).CloseWrite() }

// oneConn is a listener of one connection, closed when that one is.
type oneConn struct {
	conn net.Conn
	done chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
