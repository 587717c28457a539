package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// serveBare is a proxy that ends TLS and begins it anew, and does nothing
// else: no decision, no scanning, no record, no bound, no second thought. It
// is what any such proxy in Go costs at least, a process of its own; CERT and
// KEY are what it shows to every client, ROOTS what it trusts.
func serveBare() {
	certificate, err := tls.LoadX509KeyPair(os.Getenv("CERT"), os.Getenv("KEY"))
	if err != nil {
		fatal(err)
	}
	roots, err := rootsOf(os.Getenv("ROOTS"))
	if err != nil {
		fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fatal(err)
	}
	fmt.Println(listener.Addr())
	go endWithParent()
	b := &bare{certificate: certificate, roots: roots}
	for {
		conn, err := listener.Accept()
		if err != nil {
			fatal(err)
		}
		go func() {
			defer conn.Close()
			_ = b.serve(conn)
		}()
	}
}

type bare struct {
	certificate tls.Certificate
	roots       *x509.CertPool

	mu   sync.Mutex
	idle []*bareOrigin
}

type bareOrigin struct {
	net.Conn
	r *bufio.Reader
	w *bufio.Writer
}

func (b *bare) serve(conn net.Conn) error {
	connect, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return err
	}
	client := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{b.certificate}})
	r, w := bufio.NewReader(client), bufio.NewWriterSize(client, 16<<10)
	for {
		request, err := http.ReadRequest(r)
		if err != nil {
			return err
		}
		// The connection to the origin is kept all the same.
		request.Close = false
		request.Header.Del("Connection")
		request.URL = &url.URL{Scheme: "https", Host: connect.RequestURI, Opaque: request.RequestURI}
		origin, err := b.origin(connect.RequestURI)
		if err != nil {
			return err
		}
		if err := request.Write(origin.w); err != nil {
			return err
		}
		if err := origin.w.Flush(); err != nil {
			return err
		}
		response, err := http.ReadResponse(origin.r, request)
		if err != nil {
			return err
		}
		if err := response.Write(w); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
		b.mu.Lock()
		b.idle = append(b.idle, origin)
		b.mu.Unlock()
	}
}

func (b *bare) origin(address string) (*bareOrigin, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if last := len(b.idle) - 1; last >= 0 {
		origin := b.idle[last]
		b.idle = b.idle[:last]
		return origin, nil
	}
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: b.roots, ServerName: "localhost"})
	if err != nil {
		return nil, err
	}
	return &bareOrigin{conn, bufio.NewReader(conn), bufio.NewWriterSize(conn, 16<<10)}, nil
}

func (l *lab) startBare(ctx context.Context) (way, error) {
	self, err := os.Executable()
	if err != nil {
		return way{}, err
	}
	cmd := exec.CommandContext(ctx, self, "bare")
	cmd.Env = append(os.Environ(), "CERT="+l.path("leaf.pem"), "KEY="+l.path("leaf-key.pem"), "ROOTS="+l.path("origin-ca.pem"))
	cmd.Stderr = os.Stderr
	out, err := l.start(ctx, cmd)
	if err != nil {
		return way{}, err
	}
	address, err := out.ReadString('\n')
	if err != nil {
		return way{}, err
	}
	roots, err := rootsOf(l.path("origin-ca.pem"))
	return way{"bare", &url.URL{Scheme: "http", Host: strings.TrimSpace(address)}, roots}, err
}
