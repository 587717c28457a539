package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/internal/pkitest"
)

// lab is the origin and the proxies, all running.
type lab struct {
	dir    string
	origin string // URL of the origin
	port   string
	ways   []way // direct, bare, egress, mitmdump
	bundle *exec.Cmd
	stop   []func()
}

func newLab(ctx context.Context, dir string) (_ *lab, err error) {
	l := &lab{dir: dir}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if err := l.makeKeys(); err != nil {
		return nil, err
	}
	if err := l.startOrigin(ctx); err != nil {
		return nil, fmt.Errorf("origin: %w", err)
	}
	originRoots, err := rootsOf(l.path("origin-ca.pem"))
	if err != nil {
		return nil, err
	}
	bare, err := l.startBare(ctx)
	if err != nil {
		return nil, fmt.Errorf("bare: %w", err)
	}
	egress, err := l.startEgress(ctx)
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	mitm, err := l.startMitmdump(ctx)
	if err != nil {
		return nil, fmt.Errorf("mitmdump: %w", err)
	}
	l.ways = []way{{"direct", nil, originRoots}, bare, egress, mitm}
	return l, nil
}

func (l *lab) close() {
	for i := len(l.stop) - 1; i >= 0; i-- {
		l.stop[i]()
	}
}

// through is the way of that name.
func (l *lab) through(name string) way {
	return l.ways[slices.IndexFunc(l.ways, func(w way) bool { return w.name == name })]
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

// makeKeys writes the origin's and egress's authorities and the origin's leaf.
func (l *lab) makeKeys() error {
	files := map[string][]byte{}
	for _, name := range []string{"origin-ca", "egress-ca"} {
		ca, err := pkitest.New(name)
		if err != nil {
			return err
		}
		files[name+".pem"] = ca.CertPEM()
		if files[name+"-key.pem"], err = ca.KeyPEM(); err != nil {
			return err
		}
		if name == "origin-ca" {
			if files["leaf.pem"], files["leaf-key.pem"], err = ca.Leaf("localhost"); err != nil {
				return err
			}
		}
	}
	for name, content := range files {
		if err := os.WriteFile(l.path(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// start runs a process until close and returns its standard output.
func (l *lab) start(ctx context.Context, cmd *exec.Cmd) (*bufio.Reader, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	l.stop = append(l.stop, func() {
		in.Close()
		cmd.Process.Signal(os.Interrupt)
		time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
	})
	return bufio.NewReader(out), nil
}

func (l *lab) startOrigin(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "origin")
	cmd.Env = append(os.Environ(), "CERT="+l.path("leaf.pem"), "KEY="+l.path("leaf-key.pem"))
	cmd.Stderr = os.Stderr
	out, err := l.start(ctx, cmd)
	if err != nil {
		return err
	}
	port, err := out.ReadString('\n')
	l.port = strings.TrimSpace(port)
	l.origin = "https://localhost:" + l.port
	return err
}

// bundleCommand is the real bundle with the egress role alone.
func (l *lab) bundleCommand(ctx context.Context, listen, healthSocket string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bin/sidecars")
	cmd.Env = []string{
		"CLAUDE_BOTTLE_SIDECAR_DAEMONS=egress",
		"CLAUDE_BOTTLE_HEALTH_LISTEN=unix:" + healthSocket,
		"CLAUDE_BOTTLE_AUDIT=" + l.path("audit-"+filepath.Base(healthSocket)+"/bundle.jsonl"),
		"EGRESS_LISTEN=" + listen,
		"EGRESS_ROUTES=" + l.path("routes.yaml"),
		"EGRESS_CA_CERT=" + l.path("egress-ca.pem"),
		"EGRESS_CA_KEY=" + l.path("egress-ca-key.pem"),
		"EGRESS_UPSTREAM_CA=" + l.path("origin-ca.pem"),
	}
	return cmd
}

func (l *lab) startEgress(ctx context.Context) (way, error) {
	routes := fmt.Sprintf("routes:\n  - host: localhost\n    ports: [%s]\n    networks: [127.0.0.0/8, \"::1/128\"]\n", l.port)
	if err := os.WriteFile(l.path("routes.yaml"), []byte(routes), 0o600); err != nil {
		return way{}, err
	}
	address, err := freeAddress()
	if err != nil {
		return way{}, err
	}
	l.bundle = l.bundleCommand(ctx, address, l.path("health.sock"))
	out, err := l.start(ctx, l.bundle)
	if err != nil {
		return way{}, err
	}
	go io.Copy(io.Discard, out)
	if err := ready(ctx, l.path("health.sock")); err != nil {
		return way{}, err
	}
	roots, err := rootsOf(l.path("egress-ca.pem"))
	return way{"egress", &url.URL{Scheme: "http", Host: address}, roots}, err
}

func (l *lab) startMitmdump(ctx context.Context) (way, error) {
	address, err := freeAddress()
	if err != nil {
		return way{}, err
	}
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.CommandContext(ctx, "mitmdump", "--quiet", "--listen-host", "127.0.0.1", "--listen-port", port,
		"--set", "confdir="+l.path("mitmproxy"), "--set", "ssl_verify_upstream_trusted_ca="+l.path("origin-ca.pem"))
	if _, err := l.start(ctx, cmd); err != nil {
		return way{}, err
	}
	var roots *x509.CertPool
	for roots == nil {
		if roots, err = rootsOf(l.path("mitmproxy/mitmproxy-ca-cert.pem")); err == nil {
			break
		}
		if err := pause(ctx); err != nil {
			return way{}, errors.Join(err, errors.New("no certificate authority appeared"))
		}
	}
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return way{"mitmdump", &url.URL{Scheme: "http", Host: address}, roots}, nil
		}
		if err := pause(ctx); err != nil {
			return way{}, err
		}
	}
}

// ready waits until the bundle's health says so.
func ready(ctx context.Context, socket string) error {
	for {
		report, _, err := health.Probe(ctx, "unix:"+socket)
		if err == nil && report.Ready {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(50 * time.Millisecond):
		return nil
	}
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
