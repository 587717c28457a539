package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/claude-bottle/claude-bottle/canon"
)

// NextHop is an HTTP proxy that egress reaches everything through: CONNECT for
// TLS, absolute form for plain HTTP.
type NextHop interface {
	// Dial opens a connection to the proxy.
	Dial(ctx context.Context) (net.Conn, error)
}

// Replaceable is a NextHop whose process can change. When Epoch grows, egress
// opens new connections and lets those to the process before end with the
// requests they carry.
type Replaceable interface {
	NextHop
	Epoch() uint64
}

// Authorized is a NextHop that wants a Proxy-Authorization.
type Authorized interface {
	NextHop
	ProxyAuthorization() string
}

// ProxyURL is the next hop at http://host:port. A user and a password in the
// URL are sent as Basic, a password alone as Bearer authorization. The proxy is
// the operator's, so its address may be any.
func ProxyURL(raw string) (NextHop, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the next hop is no URL") // err would tell the password
	}
	if u.Scheme != "http" || u.Host == "" || u.Port() == "" || u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("the next hop %s is not of the form http://host:port", u.Redacted())
	}
	hop := &proxyHop{address: u.Host}
	if password, ok := u.User.Password(); ok {
		if user := u.User.Username(); user == "" {
			hop.authorization = "Bearer " + password
		} else {
			hop.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
		}
	}
	return hop, nil
}

type proxyHop struct{ address, authorization string }

func (p *proxyHop) Dial(ctx context.Context) (net.Conn, error) {
	return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", p.address)
}

func (p *proxyHop) ProxyAuthorization() string { return p.authorization }

// nextHopURL stands for the next hop where net/http wants a URL.
var nextHopURL = &url.URL{Scheme: "http", Host: "next-hop.invalid:80"}

// hopError is the next hop's own refusal.
type hopError struct {
	status int
	text   string
}

func (e *hopError) Error() string {
	return fmt.Sprintf("the next proxy refused with status %d: %s", e.status, e.text)
}

func (r *Role) dialNextHop(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := r.NextHop.Dial(ctx)
	if err != nil {
		return nil, &dialError{err}
	}
	return conn, nil
}

func (r *Role) hopAuthorization() string {
	if hop, ok := r.NextHop.(Authorized); ok {
		return hop.ProxyAuthorization()
	}
	return ""
}

// connectThrough opens a tunnel to a through the next hop.
func (r *Role) connectThrough(ctx context.Context, a canon.Authority) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := r.dialNextHop(ctx, "", "")
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	tunnelled, err := r.askTunnel(conn, a)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, &dialError{err}
	}
	return tunnelled, nil
}

func (r *Role) askTunnel(conn net.Conn, a canon.Authority) (net.Conn, error) {
	head := "CONNECT " + a.String() + " HTTP/1.1\r\nHost: " + a.String() + "\r\n"
	if authorization := r.hopAuthorization(); authorization != "" {
		head += "Proxy-Authorization: " + authorization + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		text, _ := io.ReadAll(io.LimitReader(reader, min(256, max(0, response.ContentLength))))
		return nil, &hopError{response.StatusCode, r.Scanner.Redact(string(text))}
	}
	if reader.Buffered() > 0 {
		return nil, errors.New("the next proxy spoke before it was asked")
	}
	return conn, nil
}

// clientTLS is how egress speaks to origins.
func clientTLS(roots *x509.CertPool) *tls.Config {
	return &tls.Config{
		RootCAs:                     roots,
		MinVersion:                  tls.VersionTLS12,
		ClientSessionCache:          tls.NewLRUClientSessionCache(256),
		DynamicRecordSizingDisabled: true,
	}
}
