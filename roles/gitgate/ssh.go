package gitgate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	dialTimeout = 15 * time.Second
	// sessionsPerConnection is what sshd allows by default (MaxSessions).
	sessionsPerConnection = 10
	// sessionTimeout bounds the wait for a session upstream.
	sessionTimeout = 30 * time.Second
)

// sshUpstream keeps one connection to an upstream and opens a session on it
// for each request.
type sshUpstream struct {
	user, address string // address is host:port
	path          string // as given to git-upload-pack
	identity      string // file of the private key
	hostKey       ssh.PublicKey

	slots chan struct{} // one for each open session
	mu    sync.Mutex
	conn  *ssh.Client // nil until the first request, and after it broke
}

// open starts git-upload-pack or git-receive-pack upstream.
func (u *sshUpstream) open(ctx context.Context, service, protocol string) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, sessionTimeout)
	defer cancel()
	select {
	case u.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p, err := u.start(ctx, service, protocol)
	if err != nil {
		<-u.slots
		return nil, err
	}
	p.release = func() { <-u.slots }
	return p, nil
}

func (u *sshUpstream) start(ctx context.Context, service, protocol string) (*process, error) {
	session, err := u.session(ctx)
	if err != nil {
		return nil, err
	}
	if protocol != "" {
		// A server that does not accept the variable speaks version 0, and
		// does so for every request of the same client.
		_ = session.Setenv("GIT_PROTOCOL", protocol)
	}
	p, err := newProcess(session)
	if err == nil {
		err = session.Start(service + " " + shellQuote(u.path))
	}
	if err != nil {
		session.Close()
		return nil, fmt.Errorf("cannot start %s on %s: %w", service, u.address, err)
	}
	return p, nil
}

// session opens a session on the kept connection. A connection that broke is
// dialled anew; one that is full, since the server has not yet noticed that a
// session ended, is asked again after a moment.
func (u *sshUpstream) session(ctx context.Context) (*ssh.Session, error) {
	for {
		conn, fresh, err := u.connection(ctx)
		if err != nil {
			return nil, err
		}
		session, err := conn.NewSession()
		if err == nil {
			return session, nil
		}
		if _, full := errors.AsType[*ssh.OpenChannelError](err); !full {
			u.forget(conn)
			if fresh {
				return nil, fmt.Errorf("%s: %w", u.address, err)
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s has no session free: %w", u.address, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// connection is the kept connection, or a fresh one.
func (u *sshUpstream) connection(ctx context.Context) (conn *ssh.Client, fresh bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conn == nil {
		u.conn, err = u.connect(ctx)
		return u.conn, true, err
	}
	return u.conn, false, nil
}

func (u *sshUpstream) forget(conn *ssh.Client) {
	conn.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conn == conn {
		u.conn = nil
	}
}

func (u *sshUpstream) connect(ctx context.Context) (*ssh.Client, error) {
	pem, err := os.ReadFile(u.identity)
	if err != nil {
		return nil, fmt.Errorf("the identity for %s is unreadable: %w", u.address, err)
	}
	signer, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return nil, fmt.Errorf("the identity for %s is no private key without passphrase", u.address)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	tcp, err := new(net.Dialer).DialContext(ctx, "tcp", u.address)
	if err != nil {
		return nil, fmt.Errorf("%s does not answer: %w", u.address, err)
	}
	deadline, _ := ctx.Deadline()
	_ = tcp.SetDeadline(deadline)
	var changed error
	conn, channels, requests, err := ssh.NewClientConn(tcp, u.address, &ssh.ClientConfig{
		User:              u.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyAlgorithms: hostKeyAlgorithms(u.hostKey.Type()),
		HostKeyCallback: func(host string, addr net.Addr, got ssh.PublicKey) error {
			changed = ssh.FixedHostKey(u.hostKey)(host, addr, got)
			return changed
		},
	})
	if err != nil {
		tcp.Close()
		if changed != nil {
			return nil, fmt.Errorf("the host key of %s is not the pinned one (%s); somebody may be in between",
				u.address, ssh.FingerprintSHA256(u.hostKey))
		}
		return nil, fmt.Errorf("cannot log in to %s: %w", u.address, err)
	}
	_ = tcp.SetDeadline(time.Time{})
	return ssh.NewClient(conn, channels, requests), nil
}

func (u *sshUpstream) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conn != nil {
		u.conn.Close()
		u.conn = nil
	}
}

// hostKeyAlgorithms restricts the negotiation to the pinned key's type, so
// that the server cannot offer another of its keys.
func hostKeyAlgorithms(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{keyType}
}

// shellQuote quotes for the shell that git hosts run commands by, as git does.
func shellQuote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(s) + "'"
}

// process is git-upload-pack or git-receive-pack on the upstream.
type process struct {
	in      io.WriteCloser
	out     io.Reader
	session *ssh.Session
	release func()
}

func newProcess(session *ssh.Session) (*process, error) {
	in, err := session.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := session.StdoutPipe()
	return &process{in: in, out: out, session: session}, err
}

// close ends the session; the connection stays.
func (p *process) close() {
	p.session.Close()
	p.release()
}
