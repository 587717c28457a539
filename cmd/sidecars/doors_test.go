package main

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// privateAddress is where the child listens, which only this test's view of
// /proc tells.
func (w *world) privateAddress() string {
	w.t.Helper()
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.waitChildren(1)[0]))
	if err != nil {
		w.t.Fatal(err)
	}
	args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
	return args[len(args)-1]
}

func TestTheOldProxyAddressIsEgresssSecondDoor(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.waitReady()
	door := w.agent("pipelock.sock")
	if status, body := get(door, w.url("/")); status != 200 || body != "hello" {
		t.Errorf("an allowed request: %d %s", status, body)
	}
	arrived := w.arrived.Load()
	if status, body := get(door, "https://example.com:"+w.port+"/"); status != 0 || !strings.Contains(body, "Forbidden") {
		t.Errorf("a host without a route: %d %s", status, body)
	}
	if status, body := get(door, "http://example.com/"); status != 403 || !strings.Contains(body, `"rule":"no-route"`) {
		t.Errorf("a host without a route, plain: %d %s, want egress's own refusal", status, body)
	}
	if now := w.arrived.Load(); now != arrived {
		t.Errorf("%d refused requests arrived", now-arrived)
	}

	direct := over(w.path("pipelock.sock"))
	for _, path := range []string{"/fetch?url=http://example.com/", "/ws", "/stats"} {
		if status, body := get(direct, "http://pipelock"+path); status < 400 || strings.Contains(body, "reached") {
			t.Errorf("%s through the door: %d %s", path, status, body)
		}
	}
	if status, body := get(http.DefaultClient, "http://"+w.privateAddress()+"/fetch"); status != 200 || !strings.Contains(body, "reached") {
		t.Errorf("control: /fetch at the child itself: %d %s", status, body)
	}
	if status, body := get(direct, "http://pipelock/health"); status != 200 || !strings.Contains(body, `"healthy"`) {
		t.Errorf("the child's health: %d %s", status, body)
	}
	w.stop()
}

func TestTheChildInheritsNothing(t *testing.T) {
	w := newWorld(t, "HTTPS_PROXY=http://127.0.0.1:1", "SECRET_OF_THE_HOST=do-not-inherit")
	w.start()
	w.waitReady()
	w.works() // HTTPS_PROXY is obeyed by nobody
	child := w.waitChildren(1)[0]
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", child))
	if err != nil {
		t.Fatal(err)
	}
	for entry := range strings.SplitSeq(strings.TrimRight(string(environ), "\x00"), "\x00") {
		if name, _, _ := strings.Cut(entry, "="); name != "SSL_CERT_FILE" {
			t.Errorf("the child's environment has %s", name)
		}
	}
	sockets := func(pid int) map[string]bool {
		found := make(map[string]bool)
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if target, err := os.Readlink(dir + "/" + entry.Name()); err == nil && strings.HasPrefix(target, "socket:") {
				found[target] = true
			}
		}
		return found
	}
	ours := sockets(w.cmd.Process.Pid)
	if len(ours) == 0 {
		t.Fatal("the bundle has no sockets")
	}
	for socket := range sockets(child) {
		if ours[socket] {
			t.Errorf("the child has the bundle's %s", socket)
		}
	}
	w.stop()
}

func TestWhatTheChildPrintsIsRedacted(t *testing.T) {
	w := newWorld(t)
	w.standIn.Hooks(t, originName, "print harmless-word "+token)
	w.start()
	w.waitReady()
	w.works()
	w.stop()
	audited, err := os.ReadFile(w.path("audit/bundle.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if log := w.log.String(); !strings.Contains(log, "harmless-word") || strings.Contains(log+string(audited), token) {
		t.Errorf("log and audit must hold the harmless word and not the token:\n%s\n%s", log, audited)
	}
	w.log.lines(t)
}

// TestTheSplitShape runs egress and pipelock as two bundles.
func TestTheSplitShape(t *testing.T) {
	const bearer = "bearer-of-this-bottle"
	firewall := newWorld(t, "CLAUDE_BOTTLE_SIDECAR_DAEMONS=pipelock", "PIPELOCK_LISTEN=127.0.0.1:0", "PIPELOCK_TOKEN="+bearer)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	firewall.cmd.ExtraFiles = []*os.File{file}
	firewall.cmd.Env = append(firewall.cmd.Env, "LISTEN_FDS=1", "LISTEN_FDNAMES=pipelock")
	firewall.start()
	file.Close()
	firewall.waitReady()
	hop := url.URL{Scheme: "http", Host: listener.Addr().String()}

	for _, c := range []struct {
		name, password string
		status         int
	}{{"the right token", bearer, 200}, {"another token", "not-the-right-one", 502}} {
		t.Run(c.name, func(t *testing.T) {
			hop.User = url.UserPassword("", c.password)
			egress := newWorld(t, "CLAUDE_BOTTLE_SIDECAR_DAEMONS=egress", "EGRESS_UPSTREAM_PROXY="+hop.String(),
				"PIPELOCK_CA_CERT="+firewall.path("pipelock-ca.pem"),
				"EGRESS_UPSTREAM_CA="+firewall.path("origin-ca.pem"))
			egress.write("routes.yaml", mustRead(t, firewall.path("routes.yaml")))
			egress.start()
			egress.waitReady()
			for _, socket := range []string{"egress.sock", "pipelock.sock"} { // the alias pipelock is egress
				if status, body := get(egress.agent(socket), firewall.url("/")); status != c.status {
					t.Errorf("through %s: %d %s, want %d", socket, status, body, c.status)
				}
			}
			egress.stop()
			if strings.Contains(egress.log.String(), c.password) {
				t.Error("the log shows the bearer token")
			}
		})
	}
	if firewall.arrived.Load() != 2 {
		t.Errorf("%d requests arrived, want the 2 with the right token", firewall.arrived.Load())
	}
	firewall.stop()
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
