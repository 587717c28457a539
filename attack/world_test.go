package attack_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/claude-bottle/claude-bottle/internal/pkitest"
)

// world is the internet of the suite: an origin that is allowed, a collector
// that is not, a name server and a git server.
type world struct {
	// known are secrets that the operator gives the bottle, shapes are such
	// that only look like secrets; both by their variable. token is injected
	// into requests to auth.attack.test.
	known, shapes map[string]string
	token         string

	caPath    string
	port      uint16 // the origin's
	address   string // where the servers are
	network   string // that address for a route
	names     *nameServer
	collector *collector
	git       *upstream

	mu      sync.Mutex
	arrived map[string]bool // controls
	leaks   []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		known: map[string]string{
			"KNOWN_ANTHROPIC": "sk-ant-api03-" + random(t, 93, upper+lower+digits+"-_") + "AA",
			"KNOWN_AWS":       random(t, 19, upper+lower+digits) + "/" + random(t, 20, upper+lower+digits+"+"),
			"KNOWN_GENERIC":   random(t, 40, lower+digits),
		},
		shapes: map[string]string{
			"SHAPE_ANTHROPIC": "sk-ant-api03-" + random(t, 93, upper+lower+digits+"-_") + "AA",
			"SHAPE_AWS":       "AKIA" + random(t, 16, upper+"234567"),
			"SHAPE_GENERIC":   random(t, 40, lower+digits),
		},
		token:   random(t, 40, upper+lower+digits),
		caPath:  filepath.Join(t.TempDir(), "internet-ca.pem"),
		address: "127.0.0.1", network: "127.0.0.0/8",
		arrived: map[string]bool{},
	}
	if b := os.Getenv("CLAUDE_BOTTLE_BACKEND"); b != "" && b != "namespace" {
		// The bundle has a loopback of its own there.
		w.address = outward(t)
		w.network = w.address + "/32"
	}
	w.names = startNameServer(t, w)
	w.collector = startCollector(t, w)
	w.startOrigin(t)
	w.git = startUpstream(t, w.address)
	return w
}

const (
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	digits = "0123456789"
)

// random is text of n characters of an alphabet, all kinds of which come early.
func random(t *testing.T, n int, alphabet string) string {
	t.Helper()
	text := make([]byte, n)
	for i := range text {
		at, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
		if err != nil {
			t.Fatal(err)
		}
		text[i] = alphabet[at.Int64()]
	}
	if strings.Contains(alphabet, digits) {
		copy(text[1:], "7q9")
	}
	return string(text)
}

// outward is this machine's first address that is not loopback.
func outward(t *testing.T) string {
	t.Helper()
	for _, ip := range addresses(t) {
		if !strings.HasPrefix(ip, "127.") {
			return ip
		}
	}
	t.Fatal("this machine has no address but loopback")
	return ""
}

// addresses are this machine's IPv4 addresses.
func addresses(t *testing.T) []string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, a := range all {
		if network, ok := a.(*net.IPNet); ok && network.IP.To4() != nil {
			found = append(found, network.IP.String())
		}
	}
	return found
}

// secrets are the planted values as the operator's environment has them.
func (w *world) secrets() []string {
	var env []string
	for _, some := range []map[string]string{w.known, w.shapes} {
		for _, name := range slices.Sorted(maps.Keys(some)) {
			env = append(env, name+"="+some[name])
		}
	}
	return env
}

// Variables implements attack.World.
func (w *world) Variables() []string {
	ips := strings.Join(addresses(w.collector.t), " ")
	return []string{
		fmt.Sprintf("PORT=%d", w.port), fmt.Sprintf("COLLECTOR_PORT=%d", w.collector.port),
		"COLLECTOR_IP=" + w.address, "COLLECTOR_IPS=" + ips,
		"NAMES_PORT=" + w.names.port, "UPSTREAM=" + w.git.url,
	}
}

// Arrived implements attack.World.
func (w *world) Arrived(control string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.arrived[control] || w.git.has("control/"+control)
}

// Leaks implements attack.World.
func (w *world) Leaks() []string {
	leaks := w.git.leaks()
	w.mu.Lock()
	defer w.mu.Unlock()
	leaks, w.leaks = append(leaks, w.leaks...), nil
	return leaks
}

func (w *world) leak(format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leaks = append(w.leaks, fmt.Sprintf(format, a...))
}

func (w *world) startOrigin(t *testing.T) {
	t.Helper()
	ca, err := pkitest.New("the suite's internet")
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := ca.TLS("*.attack.test", "*.wild.attack.test")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.caPath, ca.CertPEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(w.address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	w.port = uint16(listener.Addr().(*net.TCPAddr).Port)
	server := &http.Server{
		Handler:   http.HandlerFunc(w.origin),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	go server.ServeTLS(listener, "", "")
	t.Cleanup(func() { server.Close() })
}

// origin is the allowed server. Whatever arrives whole with the mark of an
// attack is a leak, and so is a part of one that holds a part of a secret.
func (w *world) origin(rw http.ResponseWriter, r *http.Request) {
	head, err := httputil.DumpRequest(r, false)
	if err != nil {
		w.leak("a request that cannot be read: %v", err)
		return
	}
	body, bodyErr := io.ReadAll(r.Body)
	text := string(head) + string(body) + fmt.Sprint(r.Trailer)
	mark := r.Header.Get("X-Mark")
	_, name, _ := strings.Cut(mark, "/")
	harmless := strings.Contains(name, "harmless") || name == "allowed" || strings.HasPrefix(name, "control")
	switch {
	case strings.HasPrefix(name, "first-half"): // of a secret, whose rest must not follow
	case w.holdsSecret(text):
		w.leak("part of a secret arrived at the origin (%s)", mark)
	case strings.Contains(strings.ReplaceAll(text, mark, ""), "agents-own") || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte("me:agents-own"))):
		w.leak("the agent's own credential arrived at the origin (%s)", mark)
	case bodyErr != nil: // it was cut
	case mark == "":
		w.leak("%s %s%s arrived at the origin without a mark", r.Method, r.Host, r.URL.Path)
	case !harmless:
		w.leak("%s arrived at the origin: %s %s%s", mark, r.Method, r.Host, r.URL.Path)
	default:
		w.mu.Lock()
		w.arrived[mark] = true
		w.mu.Unlock()
	}
	if token := "Bearer " + w.token; r.Header.Get("Authorization") == token && r.URL.Path == "/echo" {
		fmt.Fprint(rw, base64.StdEncoding.EncodeToString([]byte(w.token)), w.token)
		return
	}
	if r.URL.Path == "/socket" {
		w.socket(rw, r)
		return
	}
	fmt.Fprint(rw, "received")
}

// socket sends every message back and looks into all that comes.
func (w *world) socket(rw http.ResponseWriter, r *http.Request) {
	look := func(text []byte) {
		if w.holdsSecret(string(text)) {
			w.leak("part of a secret arrived in a WebSocket")
		}
	}
	conn, err := websocket.Accept(rw, r, &websocket.AcceptOptions{
		OnPingReceived: func(_ context.Context, payload []byte) bool { look(payload); return true },
	})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		look(message)
		if conn.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}

// partOf is how much of a secret in a row is a leak.
const partOf = 12

func (w *world) holdsSecret(text string) bool {
	for _, some := range []map[string]string{w.known, w.shapes} {
		for _, secret := range some {
			secret = strings.TrimPrefix(secret, "sk-ant-api03-")
			for _, form := range []string{secret, strings.ToLower(secret), fmt.Sprintf("%x", secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
				for i := 0; i+partOf <= len(form); i++ {
					if strings.Contains(text, form[i:i+partOf]) {
						return true
					}
				}
			}
		}
	}
	return false
}

// collector listens where nothing from the bottle may ever arrive.
type collector struct {
	t    *testing.T
	port uint16
}

func startCollector(t *testing.T, w *world) *collector {
	t.Helper()
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{t, uint16(listener.Addr().(*net.TCPAddr).Port)}
	packets, err := net.ListenPacket("udp", fmt.Sprintf(":%d", c.port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close(); packets.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			w.leak("a connection to the collector from %s", conn.RemoteAddr())
			conn.SetDeadline(time.Now().Add(time.Second))
			io.Copy(io.Discard, io.LimitReader(conn, 1<<10))
			conn.Close()
		}
	}()
	go func() {
		packet := make([]byte, 1500)
		for {
			_, from, err := packets.ReadFrom(packet)
			if err != nil {
				return
			}
			w.leak("a datagram to the collector from %s", from)
		}
	}()
	return c
}
