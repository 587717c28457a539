// Command pipelock-standin behaves like pipelock 2.3.0 as far as the bundle can
// tell: command line, health, strict configuration, allowlist, interception,
// signals. It is for tests and the demo, and protects nobody.
package main

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/claude-bottle/claude-bottle/roles/pipelock/config"
)

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 || args[1] != "run" && args[1] != "check" {
		return errors.New("usage: pipelock run|check --config FILE [--listen ADDR]")
	}
	flags := flag.NewFlagSet("pipelock", flag.ContinueOnError)
	file := flags.String("config", "", "configuration file")
	listen := flags.String("listen", "", "address to serve, overrides the file")
	if err := flags.Parse(args[2:]); err != nil {
		return err
	}
	src, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	c, err := config.Parse(src)
	if err != nil {
		return err
	}
	if args[1] == "check" {
		fmt.Println("configuration is valid")
		return nil
	}
	if *listen != "" {
		c.FetchProxy.Listen = *listen
	}
	h, err := readHooks(args[0] + ".hooks")
	if err != nil {
		return err
	}
	return serve(c, h)
}

// serve runs until a signal ends the process.
func serve(c *config.Config, h hooks) error {
	if h.exit >= 0 {
		os.Exit(h.exit)
	}
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("component", "pipelock")
	if h.print != "" {
		log.Info("hook", "event", "print", "target", h.print)
		fmt.Fprintln(os.Stderr, h.print)
	}
	authority, err := readAuthority(c.TLS.CACert, c.TLS.CAKey)
	if err != nil {
		return err
	}
	p, err := newProxy(c, h, authority, log)
	if err != nil {
		return err
	}
	go p.signals()

	metrics, err := net.Listen("tcp", c.MetricsListen)
	if err != nil {
		return fmt.Errorf("metrics bind %s: %w", c.MetricsListen, err)
	}
	stats := &http.Server{Handler: http.HandlerFunc(answerStats), ReadHeaderTimeout: 5 * time.Second}
	go stats.Serve(metrics)

	log.Info("startup", "event", "startup", "listen", c.FetchProxy.Listen)
	time.Sleep(h.slowStart)
	server := &http.Server{Addr: c.FetchProxy.Listen, Handler: p, ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe()
}

// signals ends the process at SIGTERM, cutting what is in flight, and toggles
// the kill switch at SIGUSR1.
func (p *proxy) signals() {
	got := make(chan os.Signal, 8)
	signal.Notify(got, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)
	for s := range got {
		switch {
		case s == syscall.SIGUSR1:
			p.killSwitch.Store(!p.killSwitch.Load())
		case !p.hooks.ignoreTerm:
			os.Exit(0)
		}
	}
}

// readAuthority loads the certificate authority as strictly as pipelock: the
// key is SEC1 and readable by nobody else.
func readAuthority(cert, key string) (*tls.Certificate, error) {
	info, err := os.Stat(key)
	if err != nil {
		return nil, fmt.Errorf("CA key: %w", err)
	}
	if info.Mode().Perm()&^0o640 != 0 {
		return nil, fmt.Errorf("CA key %s has mode %04o: restrict to 0600 or 0640", key, info.Mode().Perm())
	}
	keyPEM, err := os.ReadFile(key)
	if err != nil {
		return nil, fmt.Errorf("CA key: %w", err)
	}
	if block, _ := pem.Decode(keyPEM); block == nil || block.Type != "EC PRIVATE KEY" {
		return nil, fmt.Errorf("CA key %s is no EC PRIVATE KEY", key)
	}
	certPEM, err := os.ReadFile(cert)
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	return &pair, err
}
