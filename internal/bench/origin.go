package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// serveOrigin is the server behind every measurement, a process of its own: it
// reads its certificate from CERT and KEY and prints the port it listens on.
func serveOrigin() {
	mux := http.NewServeMux()
	hello := []byte(strings.Repeat("hello, ", 9))
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, _ *http.Request) { w.Write(hello) })
	mux.HandleFunc("GET /10mb", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(bodyBytes))
		w.Write(body)
	})
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil || n != bodyBytes {
			http.Error(w, "short body", http.StatusBadRequest)
		}
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: first\n\n")
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(2 * time.Second):
		}
	})
	certificate, err := tls.LoadX509KeyPair(os.Getenv("CERT"), os.Getenv("KEY"))
	if err != nil {
		fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go endWithParent()
	server := &http.Server{Handler: mux, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	fatal(server.ServeTLS(listener, "", ""))
}

// endWithParent ends this process with the one that started it.
func endWithParent() {
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

const bodyBytes = 10 << 20

// body is text as agents send it: words, not random bytes.
var body = []byte(strings.Repeat("func main() { fmt.Println(\"hello, world\") } // clean source text\n", bodyBytes/65+1)[:bodyBytes])

// rootsOf is a pool that holds the PEM file's certificates alone.
func rootsOf(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return pool, nil
}
