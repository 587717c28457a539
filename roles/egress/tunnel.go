package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/policy"
)

// tunnel is one CONNECT of the agent that was allowed.
type tunnel struct {
	role      *Role
	authority canon.Authority
	host      string // authority's, as text
	conn      net.Conn
	sni       string    // the name in the agent's TLS, as it wrote it
	wire      *wireConn // nil over HTTP/2
	ended     ending
	// strange is why nothing may be asked for in the tunnel: its TLS is for
	// another name. "" is nothing.
	strange string
}

// tunnelConn is an HTTP/1 connection inside a tunnel.
type tunnelConn struct {
	*wireConn
	tunnel *tunnel
}

// CloseWrite tells the agent that no more comes.
func (c *tunnelConn) CloseWrite() error { return c.Conn.(*tls.Conn).CloseWrite() }

// tlsRecord is the first byte of a TLS handshake.
const tlsRecord = 0x16

// serve ends the agent's TLS and hands the connection to an inner server.
func (t *tunnel) serve(h *hijacked) {
	t.conn = h.Conn
	t.role.active.add(t)
	conn, err := t.handshake(h)
	if err == nil {
		err = t.handOver(conn)
	}
	if err != nil {
		_ = h.Close()
	}
}

func (t *tunnel) handshake(h *hijacked) (net.Conn, error) {
	_ = h.SetDeadline(time.Now().Add(handshakeTimeout))
	if _, err := io.WriteString(h, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return nil, err
	}
	if len(h.early) == 0 {
		first := make([]byte, 1)
		if _, err := io.ReadFull(h, first); err != nil {
			return nil, err
		}
		h.early = first
	}
	if h.early[0] != tlsRecord {
		t.note("the tunnel holds something else than TLS")
		return nil, errors.New("no TLS")
	}
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), connKey{}, t), handshakeTimeout)
	defer cancel()
	conn := tls.Server(h, t.role.leaves.config)
	if err := conn.HandshakeContext(ctx); err != nil {
		if !clientLeft(err) {
			t.note("the TLS handshake failed: " + err.Error())
		}
		return nil, err
	}
	_ = h.SetDeadline(time.Time{})
	state := conn.ConnectionState()
	t.sni = state.ServerName
	if t.strange = t.checkName(t.sni); t.strange != "" {
		about := policy.Decision{Method: http.MethodConnect, Host: t.host, Port: t.authority.Port}
		d := blocked(policy.AuthorityMismatch, about, t.strange, remedyAuthority)
		if err := t.role.recordBlock("connect", d); err != nil {
			return nil, err
		}
	}
	if state.NegotiatedProtocol == "h2" {
		return conn, nil
	}
	t.wire = newWireConn(conn, t.role.marker)
	return &tunnelConn{t.wire, t}, nil
}

// checkName says what is wrong with the name that the agent's TLS asked for.
func (t *tunnel) checkName(sni string) string {
	if sni == "" {
		if _, literal := t.authority.Host.IP(); literal {
			return ""
		}
		return "the TLS handshake names no server, CONNECT named " + t.host
	}
	if host, err := canon.ParseHost(sni); err != nil || host != t.authority.Host {
		return "the TLS handshake asks for another server than CONNECT, which named " + t.host
	}
	return ""
}

// certificate is the one for the name that the agent's TLS asks for, so that
// a mismatch can be explained inside the tunnel.
func (l *leaves) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host := hello.Context().Value(connKey{}).(*tunnel).authority.Host
	if asked, err := canon.ParseHost(hello.ServerName); err == nil {
		host = asked
	}
	return l.leaf(host)
}

// tlsConfig is shared by all tunnels, and with it the session tickets.
func (l *leaves) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: l.certificate,
		// The way from the agent is a network of one machine: handshakes cost
		// more than harvesting it could gain, and small first records nothing.
		CurvePreferences:            []tls.CurveID{tls.X25519, tls.CurveP256},
		DynamicRecordSizingDisabled: true,
	}
}

// handOver gives the connection to the inner server of its protocol.
func (t *tunnel) handOver(conn net.Conn) error {
	to := t.role.inner2
	if t.wire != nil {
		to = t.role.inner1
	}
	wait := time.NewTimer(handshakeTimeout)
	defer wait.Stop()
	select {
	case to <- conn:
		return nil
	case <-wait.C:
		return errors.New("egress is not running")
	}
}

// note records a tunnel that was closed because of what it held.
func (t *tunnel) note(reason string) {
	about := policy.Decision{Method: http.MethodConnect, Host: t.host, Port: t.authority.Port}
	_ = t.role.recordBlock("connect", blocked(policy.Malformed, about, reason, ""))
}

// clientLeft reports whether a handshake failed because the agent ended it.
func clientLeft(err error) bool {
	var alert *net.OpError
	return errors.Is(err, io.EOF) || errors.As(err, &alert) && alert.Op == "remote error"
}

// permitted reports whether the tunnel's destination is allowed under l.
func (t *tunnel) permitted(l *live) bool {
	return l.table.Authority(t.authority, false, time.Now(), nil).Allow
}

func (t *tunnel) cut(reason string) {
	t.ended.tell(reason)
	_ = t.conn.Close()
}

// serveTunnelled serves the requests inside tunnels.
func (r *Role) serveTunnelled(w http.ResponseWriter, req *http.Request) {
	t := tunnelOf(req)
	if req.Method == http.MethodConnect {
		// The wire no longer parses what follows.
		w.Header().Set("Connection", "close")
	}
	if t.wire != nil && req.RequestURI == r.marker && t.wire.broken.Load() != nil {
		r.refuseBroken(w, t.wire.broken.Load(), t.host)
		return
	}
	r.serve(&exchange{role: r, live: r.live.Load(), w: w, in: req, tunnel: t, authority: t.authority})
}
