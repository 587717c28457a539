package containment_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/containment"
)

// TestMain plays the inside when it is told to: it proves what comes on stdin.
func TestMain(m *testing.M) {
	if os.Getenv("PROVE_STDIN") == "" {
		os.Exit(m.Run())
	}
	var t containment.Targets
	if err := json.NewDecoder(os.Stdin).Decode(&t); err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), containment.Limit)
	defer cancel()
	json.NewEncoder(os.Stdout).Encode(containment.Prove(ctx, t))
}

func host(t *testing.T) containment.Targets {
	t.Helper()
	h, err := containment.NewHost()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h.Targets
}

func bundle(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// proveIn runs the proof in a process with its own new namespaces, or none.
func proveIn(t *testing.T, namespaces uintptr, targets containment.Targets) containment.Report {
	t.Helper()
	text, err := json.Marshal(targets)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = []string{"PROVE_STDIN=1", "GORACE=atexit_sleep_ms=0"}
	cmd.Stdin = bytes.NewReader(text)
	isolate(cmd, namespaces)
	said, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var report containment.Report
	if err := json.Unmarshal(said, &report); err != nil {
		t.Fatal(err)
	}
	return report
}

// Where nothing isolates, the proof finds the ways out.
func TestFindsLeaks(t *testing.T) {
	targets := host(t)
	targets.Control = bundle(t)
	report := proveIn(t, 0, targets)
	if report.Control != "" {
		t.Errorf("control: %s", report.Control)
	}
	for _, kind := range []string{"tcp", "abstract"} {
		if runtime.GOOS != "linux" && kind == "abstract" {
			continue
		}
		if !slices.ContainsFunc(report.Leaks, func(l containment.Leak) bool { return l.Kind == kind && l.How == "connected" }) {
			t.Errorf("no %s leak among %v", kind, report.Leaks)
		}
	}
	if err := report.Err(); !errors.Is(err, containment.ErrNotContained) || !strings.Contains(err.Error(), "abstract") {
		t.Errorf("error: %v", err)
	}
}

// A refusal by another machine, or by this one, shows that it was reached.
func TestRefusalIsALeak(t *testing.T) {
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	listener.Close()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		ip, _, err := net.ParseCIDR(address.String())
		if err != nil || ip.IsLinkLocalUnicast() {
			continue
		}
		target := net.JoinHostPort(ip.String(), port)
		report := containment.Prove(t.Context(), containment.Targets{TCP: []string{target}})
		leaked := slices.Contains(report.Leaks, containment.Leak{Kind: "tcp", Target: target, How: "answered with a refusal"})
		if leaked == ip.IsLoopback() && has(t, address) {
			t.Errorf("%s: leaks %v", target, report.Leaks)
		}
	}
}

func TestControlMustAnswer(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	rude, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer rude.Close()
	go func() {
		for {
			conn, err := rude.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte("220 smtp\r\n"))
			conn.Close()
		}
	}()
	for name, address := range map[string]string{
		"nobody": "127.0.0.1:1", "silent": silent.Addr().String(), "no HTTP": rude.Addr().String(),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), containment.Limit)
		report := containment.Prove(ctx, containment.Targets{Control: address})
		cancel()
		if !errors.Is(report.Err(), containment.ErrNotContained) || !strings.Contains(report.Err().Error(), "does not answer") {
			t.Errorf("%s: %v", name, report.Err())
		}
	}
	if err := (containment.Report{}).Err(); !errors.Is(err, containment.ErrNotContained) {
		t.Errorf("an empty report proves something: %v", err)
	}
}

func TestHostLooksEverywhere(t *testing.T) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	targets := host(t)
	for _, address := range addresses {
		ip, _, err := net.ParseCIDR(address.String())
		if err != nil {
			t.Fatal(err)
		}
		if !has(t, address) {
			continue
		}
		found := slices.ContainsFunc(targets.TCP, func(target string) bool { return strings.HasPrefix(target, net.JoinHostPort(ip.String(), "")) })
		if want := !ip.IsLoopback() || ip.Equal(net.IPv4(127, 0, 0, 1)); found != want {
			t.Errorf("%s: probed %v, want %v", ip, found, want)
		}
	}
	if len(targets.UDP) < 3 || len(targets.Names) == 0 {
		t.Errorf("too few targets: %+v", targets)
	}
}

// has tells whether this machine still has an address: networks come and go
// beside a test.
func has(t *testing.T, address net.Addr) bool {
	t.Helper()
	now, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(now, func(a net.Addr) bool { return a.String() == address.String() })
}

// A resolver that answers is a leak, whatever it answers; one that is silent is
// not.
func TestResolverThatAnswers(t *testing.T) {
	listen := func(answer bool) string {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		go func() {
			packet := make([]byte, 512)
			for {
				n, from, err := conn.ReadFrom(packet)
				if err != nil {
					return
				}
				if answer {
					conn.WriteTo(packet[:n], from)
				}
			}
		}()
		return conn.LocalAddr().String()
	}
	talks, silent := listen(true), listen(false)
	ctx, cancel := context.WithTimeout(t.Context(), containment.Limit)
	defer cancel()
	report := containment.Prove(ctx, containment.Targets{Resolvers: []string{talks, silent}})
	want := []containment.Leak{{Kind: "dns", Target: talks, How: "answered"}}
	got := slices.DeleteFunc(report.Leaks, func(l containment.Leak) bool { return l.Kind != "dns" })
	if !slices.Equal(got, want) {
		t.Errorf("leaks %v, want %v", got, want)
	}
}
