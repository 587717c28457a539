//go:build linux

package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/moby/moby/client"

	"github.com/claude-bottle/claude-bottle/attack"
	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/containment"
	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/state"
)

// collector listens on every address of this machine, for connections and
// datagrams, and counts what comes.
type collector struct {
	port  int
	heard atomic.Int64
}

func listenEverywhere(t *testing.T) *collector {
	t.Helper()
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{port: listener.Addr().(*net.TCPAddr).Port}
	packets, err := net.ListenPacket("udp4", fmt.Sprintf(":%d", c.port))
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
			c.heard.Add(1)
			conn.Close()
		}
	}()
	go func() {
		for {
			if _, _, err := packets.ReadFrom(make([]byte, 64)); err != nil {
				return
			}
			c.heard.Add(1)
		}
	}()
	return c
}

// shout sends what needs no route: datagrams to everybody on the wire.
const shout = `
import socket, sys
for group in ("255.255.255.255", "224.0.0.1"):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.setsockopt(socket.SOL_SOCKET, 25, b"eth0\0")
        s.sendto(b"x", (group, int(sys.argv[1])))
        print(group, "sent")
    except OSError as e:
        print(group, "failed")
`

// Host and agent share a wire that passes no gateway: nothing that needs no
// route may pass it either. An unsealed container on such a network shows that
// there is something to stop.
func TestNothingPassesTheWire(t *testing.T) {
	heard := listenEverywhere(t)
	port := fmt.Sprint(heard.port)
	docker(t, "network", "create", "--internal", "--subnet", "198.51.100.16/28", "-o", "com.docker.network.bridge.inhibit_ipv4=true", "claude-bottle-test-wire")
	defer docker(t, "network", "rm", "claude-bottle-test-wire")
	eventually(t, "an unsealed container is heard", func() bool {
		docker(t, "run", "--rm", "--network", "claude-bottle-test-wire", agentImage, "python3", "-c", shout, port)
		return heard.heard.Load() > 0
	})

	home := newHome(t)
	bottle := begin(t, home, newPlan(t, home, "wire", "sleep", "300"), backend.Stdio{})
	before := heard.heard.Load()
	out, _ := execute(t, bottle, "python3 -c '"+shout+"' "+port)
	// A network stack of the runtime's own takes what then vanishes on the wire.
	if strings.Contains(out, "sent") && docker(t, "inspect", "-f", "{{.HostConfig.Runtime}}", "claude-bottle-agent-wire") != runsc {
		t.Errorf("the agent could send: %s", out)
	}
	time.Sleep(100 * time.Millisecond)
	if now := heard.heard.Load(); now != before {
		t.Errorf("the host heard the agent %d times", now-before)
	}
}

// The cases that need nothing but a bottle, from its walls to its resolver.
func TestAttacks(t *testing.T) { bothShapes(t, testAttacks) }

func testAttacks(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "besieged", "sleep", "infinity")
	bottle := begin(t, home, p, backend.Stdio{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go rejectAll(ctx, control.For(bottle, control.Options{Home: home, Slug: p.Slug, Name: "tester"}), p.State)
	exec := func(ctx context.Context, command []string, out, err io.Writer) (int, error) {
		return bottle.Exec(ctx, command, backend.Stdio{Out: out, Err: err})
	}
	for _, r := range attack.Run(ctx, exec, nil, attack.Live()) {
		for _, problem := range r.Problems {
			t.Errorf("%s: %s", r.Case.Name, problem)
		}
	}
}

// rejectAll is an operator who says no to whatever the agent asks for.
func rejectAll(ctx context.Context, operator *control.Operator, dir state.Dir) {
	for ctx.Err() == nil {
		waiting, _, _ := control.Waiting(dir)
		for _, e := range waiting {
			_, _ = operator.Reject(ctx, e.Proposal.ID, e.Proposal.Review, "no") // it may have been withdrawn
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// begun is a bottle whose containers run, up to a step before the proof.
func begun(t *testing.T, sealed bool) *start {
	t.Helper()
	home := newHome(t)
	p := newPlan(t, home, "leaky", "touch", "/workspace/ran")
	k, err := claim(p)
	if err != nil {
		t.Fatal(err)
	}
	s := &start{backend: newBackend(home), api: engine(t), plan: p, keeper: k, workspace: p.Workspace, user: operator(), layout: layout{plan: p}}
	t.Cleanup(func() {
		if err := s.undo(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(p.Workspace, "ran")); err == nil {
			t.Error("the agent ran")
		}
		nothingLeft(t, home, p.Slug)
	})
	err = errors.Join(s.look(t.Context(), func(string) {}), s.make(t.Context(), false))
	if err != nil {
		t.Fatal(err)
	}
	service := s.layout.services()[0]
	bundle := service.container(p.Slug)
	if _, err := s.api.ContainerStart(t.Context(), bundle, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.waitReady(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	if _, err := s.api.ContainerStart(t.Context(), s.agent, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	if sealed {
		if err := s.seal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func proveNow(t *testing.T, s *start) error {
	t.Helper()
	host, err := containment.NewHost()
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	return s.prove(t.Context(), host.Targets)
}

// A network that was not sealed, and an agent that got a way to the internet
// after it was, are found before the command runs. The same bottle without the
// leak passes.
func TestProofFindsLeaks(t *testing.T) {
	if err := proveNow(t, begun(t, false)); !errors.Is(err, containment.ErrNotContained) || !strings.Contains(err.Error(), "127.0.0.11") {
		t.Errorf("not sealed: %v", err)
	}
}

func TestProofFindsSecondNetwork(t *testing.T) {
	s := begun(t, true)
	if err := proveNow(t, s); err != nil {
		t.Errorf("without a leak: %v", err)
	}
	docker(t, "network", "connect", "bridge", agentContainer("leaky"))
	unseal(t, s)
	if err := proveNow(t, s); !errors.Is(err, containment.ErrNotContained) {
		t.Errorf("with a way out: %v", err)
	}
}

// unseal takes the seal away, as only somebody with the engine's rights can.
func unseal(t *testing.T, s *start) {
	t.Helper()
	pid := docker(t, "inspect", "-f", "{{.State.Pid}}", s.agent)
	namespace, err := os.Open("/proc/" + pid + "/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer namespace.Close()
	conn, err := nftables.New(nftables.WithNetNSFd(int(namespace.Fd())))
	if err != nil {
		t.Fatal(err)
	}
	conn.DelTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "claude-bottle"})
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
}

// What faces the agent answers on the inner network alone, and the bundle
// passes no packets on.
func TestBundleFacesTheAgentAlone(t *testing.T) {
	home := newHome(t)
	bottle := begin(t, home, newPlan(t, home, "facing", "sleep", "300"), backend.Stdio{})
	outer := docker(t, "inspect", "-f", `{{(index .NetworkSettings.Networks "claude-bottle-egress-facing").IPAddress}}`, "claude-bottle-sidecars-facing")
	inner := docker(t, "inspect", "-f", `{{(index .NetworkSettings.Networks "claude-bottle-net-facing").IPAddress}}`, "claude-bottle-sidecars-facing")
	nobody := ask("198.18.255.250:9099") // there are networks where something answers everywhere
	for _, port := range []string{"9099", "8888", "9420", "9100", "9101"} {
		for _, address := range []string{outer, inner} {
			if answer := ask(net.JoinHostPort(address, port)); answer != "" && answer != nobody {
				t.Errorf("the host reaches %s:%s: %s", address, port, answer)
			}
		}
	}
	if out, _ := execute(t, bottle, "curl -sS -o /dev/null -w '%{http_code}' http://_egress.local/allowlist"); out != "200" {
		t.Errorf("the agent does not reach the bundle: %s", out)
	}
	pid := docker(t, "inspect", "-f", "{{.State.Pid}}", "claude-bottle-sidecars-facing")
	if forward, err := inNetwork(pid, "cat", "/proc/sys/net/ipv4/ip_forward"); err != nil || strings.TrimSpace(forward) != "0" {
		t.Errorf("the bundle forwards: %s %v", forward, err)
	}
}

// ask returns the first line of the answer of what may be a bundle's role.
func ask(address string) string {
	conn, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
	if err != nil {
		return ""
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
	fmt.Fprint(conn, "GET http://_egress.local/allowlist HTTP/1.1\r\nHost: _egress.local\r\nConnection: close\r\n\r\n")
	answer, _ := io.ReadAll(conn)
	first, _, _ := strings.Cut(string(answer), "\r\n")
	return first
}

// Bottles side by side do not see each other.
func TestBottlesAreApart(t *testing.T) {
	home := newHome(t)
	one := begin(t, home, newPlan(t, home, "one", "sleep", "300"), backend.Stdio{})
	begin(t, home, newPlan(t, home, "two", "sleep", "300"), backend.Stdio{})
	for _, name := range []string{"agent", "sidecars"} {
		address := docker(t, "inspect", "-f", `{{(index .NetworkSettings.Networks "claude-bottle-net-two").IPAddress}}`, "claude-bottle-"+name+"-two")
		out, code := execute(t, one, "curl -sS -m 3 --noproxy '*' http://"+address+":9099/ 2>&1")
		if code == 0 || address == "" {
			t.Errorf("one reaches %s of two at %s: %s", name, address, out)
		}
	}
	out, _ := execute(t, one, "getent hosts claude-bottle-egress-two claude-bottle-agent-two; getent hosts claude-bottle-egress-one >/dev/null && echo own")
	if out != "own\n" {
		t.Errorf("names: %s", out)
	}
}
