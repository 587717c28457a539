package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/health"
)

func TestUSR1ReplacesTheChildAndNothingElse(t *testing.T) {
	for name, asPID1 := range map[string]bool{"as a child": false, "as PID 1": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if asPID1 {
				w.asPID1()
			}
			w.start()
			before := w.waitReady().Roles
			w.works()
			first := w.waitChildren(1)[0]

			// A response in progress, and half a request on a sibling's socket.
			stream := w.stream()
			sibling, err := net.Dial("unix", w.path("supervise.sock"))
			if err != nil {
				t.Fatal(err)
			}
			defer sibling.Close()
			fmt.Fprint(sibling, "GET /none HTTP/1.1\r\n")

			w.signal(syscall.SIGUSR1)
			after := w.waitPID(before["pipelock"].PID).Roles
			w.works() // a forwarded SIGUSR1 would have turned on the child's kill switch
			for name, role := range after {
				if role.Restarts != 0 {
					t.Errorf("%s counts %d restarts", name, role.Restarts)
				}
				if name != "pipelock" && role != before[name] {
					t.Errorf("%s changed: %+v, before %+v", name, role, before[name])
				}
			}
			if g := after["pipelock"].Generation; g != 2 {
				t.Errorf("generation %d, want 2", g)
			}

			w.chunks <- "second"
			w.next(stream, "second")
			if now := w.waitChildren(2); now[0] != first && now[1] != first {
				t.Errorf("the child with the open stream, %d, is not among %v", first, now)
			}
			close(w.chunks)
			if _, err := stream.ReadString('\n'); err == nil {
				t.Error("the stream goes on")
			}
			if last := w.waitChildren(1)[0]; last == first {
				t.Error("the first child is still the only one")
			}
			fmt.Fprint(sibling, "Host: supervise\r\n\r\n")
			if response, err := http.ReadResponse(bufio.NewReader(sibling), nil); err != nil {
				t.Errorf("the sibling's connection was cut: %v", err)
			} else {
				response.Body.Close()
			}
			w.stop()
			w.log.lines(t)
		})
	}
}

func TestAHundredUSR1UnderLoad(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.waitReady()
	stop := w.load(4)
	for range 100 {
		w.signal(syscall.SIGUSR1)
		time.Sleep(10 * time.Millisecond)
	}
	total, failed := stop()
	if len(failed) > 0 || total == 0 {
		t.Errorf("%d of %d requests failed: %.5q", len(failed), total, failed)
	}
	w.waitHealth("one child, which health names", func(r health.Report) bool {
		now := w.children()
		return len(now) == 1 && now[0] == r.Roles["pipelock"].PID
	})
	w.works()
	report := w.waitReady().Roles["pipelock"]
	if report.Restarts != 0 || report.Generation < 2 {
		t.Errorf("pipelock: %+v", report)
	}
	t.Logf("%d requests, %d replacements", total, report.Generation-1)
	w.stop()
}

func TestUSR1WithoutPipelockAndHUPWithoutEgressDoNothing(t *testing.T) {
	for _, c := range []struct {
		roles  string
		signal syscall.Signal
	}{{"egress,supervise", syscall.SIGUSR1}, {"pipelock,git-gate", syscall.SIGHUP}} {
		t.Run(c.roles, func(t *testing.T) {
			w := newWorld(t, "CLAUDE_BOTTLE_SIDECAR_DAEMONS="+c.roles)
			w.start()
			w.waitReady()
			for range 10 {
				w.signal(c.signal)
			}
			if status, _ := get(over(w.path("health.sock")), "http://bundle/healthz"); status != 200 {
				t.Errorf("health: %d", status)
			}
			w.stop()
			if n := w.audited("pipelock", "replace"); n != 0 {
				t.Errorf("%d replacements", n)
			}
		})
	}
}

func TestUSR1DuringShutdownStartsNothing(t *testing.T) {
	w := newWorld(t)
	w.standIn.Hooks(t, originName, "ignore-term")
	w.start()
	w.waitReady()
	child := w.waitChildren(1)[0]
	w.signal(syscall.SIGTERM)
	w.waitHealthGoesDown()
	for range 20 {
		if w.cmd.Process.Signal(syscall.SIGUSR1) != nil {
			break
		}
		if now := w.children(); len(now) > 1 {
			t.Errorf("children during the shutdown: %v", now)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if code := w.exitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if n := w.audited("pipelock", "replace"); n != 0 {
		t.Errorf("%d replacements", n)
	}
	if err := syscall.Kill(child, 0); err == nil {
		t.Error("the child that ignores SIGTERM outlived the bundle")
	}
}

// waitHealthGoesDown waits until a shutdown has begun.
func (p *bundleProcess) waitHealthGoesDown() {
	p.t.Helper()
	p.waitHealth("not ready", func(r health.Report) bool { return !r.Ready })
}

func TestHUPReloadsTheRoutes(t *testing.T) {
	w := newWorld(t, "CLAUDE_BOTTLE_SIDECAR_DAEMONS=egress")
	w.start()
	before := w.waitReady().Roles["egress"]
	w.works()
	other := "https://example.com:" + w.port + "/"
	if status, body := get(w.agent("egress.sock"), other); status != 0 || !strings.Contains(body, "Forbidden") {
		t.Fatalf("a host that no route names: %d %s", status, body)
	}

	w.routes(originHost, "example.org")
	w.signal(syscall.SIGHUP)
	reloaded := w.waitHealth("generation 2", func(r health.Report) bool { return r.Roles["egress"].Generation == 2 }).Roles["egress"]
	if reloaded.ConfigSHA256 == before.ConfigSHA256 || reloaded.Restarts != 0 {
		t.Errorf("after a reload: %+v", reloaded)
	}

	w.write("routes.yaml", "routes:\n  - hots: typo.example.com\n")
	w.signal(syscall.SIGHUP)
	refused := w.waitHealth("last_error", func(r health.Report) bool { return r.Roles["egress"].LastError != "" })
	role := refused.Roles["egress"]
	if !refused.Ready || role.Generation != 2 || role.ConfigSHA256 != reloaded.ConfigSHA256 || !strings.Contains(role.LastError, "hots") {
		t.Errorf("after a broken file: %+v", refused)
	}
	if status, _ := get(over(w.path("health.sock")), "http://bundle/healthz"); status != 200 {
		t.Errorf("health after a broken file: %d, want 200", status)
	}
	w.works()
	if err := os.Remove(w.path("routes.yaml")); err != nil {
		t.Fatal(err)
	}
	w.signal(syscall.SIGHUP)
	w.waitHealth("the missing file's error", func(r health.Report) bool {
		return strings.Contains(r.Roles["egress"].LastError, "no such file")
	})
	w.works()
	w.stop()
}
