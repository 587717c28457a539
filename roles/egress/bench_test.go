package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/internal/pkitest"
)

// The origin of the benchmarks is a process of its own, so that what is
// profiled here is the proxy and the load alone.
func TestMain(m *testing.M) {
	if os.Getenv("EGRESS_BENCH_ORIGIN") != "" {
		benchOrigin()
		return
	}
	os.Exit(m.Run())
}

func benchOrigin() {
	certificate, err := tls.LoadX509KeyPair(os.Getenv("CERT"), os.Getenv("KEY"))
	if err != nil {
		panic(err)
	}
	hello := []byte(strings.Repeat("hello, ", 9))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			io.Copy(io.Discard, r.Body)
			return
		}
		w.Write(hello)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.EnableHTTP2 = true
	server.StartTLS()
	fmt.Println(server.Listener.Addr())
	io.Copy(io.Discard, os.Stdin)
}

// BenchmarkWay compares the direct way to an origin with the one through the
// role, in one run.
func BenchmarkWay(b *testing.B) {
	l := newLab(b, route("api.test"))
	ca, err := pkitest.New("bench")
	if err != nil {
		b.Fatal(err)
	}
	cert, key, err := ca.Leaf("api.test")
	if err != nil {
		b.Fatal(err)
	}
	l.write("leaf.pem", string(cert))
	l.write("leaf-key.pem", string(key))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EGRESS_BENCH_ORIGIN=1", "CERT="+l.path("leaf.pem"), "KEY="+l.path("leaf-key.pem"))
	stdin, _ := cmd.StdinPipe()
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { stdin.Close(); cmd.Wait() })
	line := make([]byte, 64)
	n, err := stdout.Read(line)
	if err != nil {
		b.Fatal(err)
	}
	address := strings.TrimSpace(string(line[:n]))
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	l.role.dial = dial
	l.role.trust.origins.AddCert(ca.Certificate)

	upload := []byte(strings.Repeat("func main() { fmt.Println(\"hello\") } // clean text\n", 10<<20/51))
	for _, way := range []string{"direct", "egress"} {
		for _, proto := range []string{"h1", "h2"} {
			for _, c := range []int{1, 8} {
				b.Run(fmt.Sprintf("%s/%s/c=%d", way, proto, c), func(b *testing.B) {
					client := benchClient(l, way, proto == "h2", ca, dial)
					b.SetParallelism(max(1, c/runtime.GOMAXPROCS(0)))
					if c == 1 {
						for b.Loop() {
							benchGet(b, client)
						}
						return
					}
					benchGet(b, client)
					b.ResetTimer()
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							benchGet(b, client)
						}
					})
				})
			}
		}
		b.Run(way+"/upload-10MB", func(b *testing.B) {
			client := benchClient(l, way, false, ca, dial)
			b.SetBytes(int64(len(upload)))
			for b.Loop() {
				response, err := client.Post("https://api.test/upload", "text/plain", bytes.NewReader(upload))
				if err != nil {
					b.Fatal(err)
				}
				response.Body.Close()
			}
		})
	}
}

func benchClient(l *lab, way string, h2 bool, ca *pkitest.CA, dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	t := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, DialContext: dial, Protocols: new(http.Protocols), MaxIdleConnsPerHost: 64, DisableCompression: true}
	t.Protocols.SetHTTP1(true)
	t.Protocols.SetHTTP2(h2)
	if way == "egress" {
		t.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: l.proxy})
		t.DialContext, t.TLSClientConfig.RootCAs = nil, l.roots
	}
	return &http.Client{Transport: t, Timeout: time.Minute}
}

func benchGet(b *testing.B, client *http.Client) {
	response, err := client.Get("https://api.test/hello")
	if err != nil {
		b.Fatal(err)
	}
	io.Copy(io.Discard, response.Body)
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		b.Fatal(response.Status)
	}
}
