package main

import (
	"net"
	"os"
	"strings"
	"testing"
)

// TestTheWholeBundleRefusesToStart goes through what no restart cures: one
// thing is broken in a bundle that else would start.
func TestTheWholeBundleRefusesToStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	remove := func(name string) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			if err := os.Remove(w.path(name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func(name, content string) func(*testing.T, *world) {
		return func(_ *testing.T, w *world) { w.write(name, content) }
	}
	set := func(entries ...string) func(*testing.T, *world) {
		return func(_ *testing.T, w *world) { w.cmd.Env = append(w.cmd.Env, entries...) }
	}
	for _, c := range []struct {
		name   string
		broken func(*testing.T, *world)
		words  []string
	}{
		{"no CA certificate", remove("egress-ca.pem"), []string{"egress-ca.pem", "none is made", "EGRESS_CA_CERT"}},
		{"no CA key", remove("egress-ca-key.pem"), []string{"egress-ca-key.pem"}},
		{"a CA that is none", write("egress-ca.pem", "nonsense"), []string{"authority"}},
		{"no routes", remove("routes.yaml"), []string{"routes.yaml"}},
		{"unparsable routes", write("routes.yaml", "routes:\n  - host: [\n"), []string{"routes.yaml"}},
		{"a misspelt key in the routes", write("routes.yaml", "routes:\n  - hots: x.example.com\n"), []string{"hots", "host"}},
		{"missing extra roots", set("EGRESS_UPSTREAM_CA=/nonexistent"), []string{"/nonexistent"}},
		{"egress's port in use", set("EGRESS_LISTEN=" + taken.Addr().String()), []string{"EGRESS_LISTEN", taken.Addr().String()}},
		{"pipelock's port in use", set("PIPELOCK_LISTEN=" + taken.Addr().String()), []string{"PIPELOCK_LISTEN", taken.Addr().String()}},
		{"supervise's port in use", set("SUPERVISE_LISTEN=" + taken.Addr().String()), []string{"SUPERVISE_LISTEN", taken.Addr().String()}},
		{"no pin", set("PIPELOCK_SHA256="), []string{"PIPELOCK_SHA256"}},
		{"a pin of another program", set("PIPELOCK_SHA256=" + strings.Repeat("0", 64)), []string{strings.Repeat("0", 64)}},
		{"a changed program", func(t *testing.T, w *world) {
			f, err := os.OpenFile(w.standIn.Path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteString("x"); err != nil {
				t.Fatal(err)
			}
		}, []string{"SHA-256"}},
		{"no program", set("PIPELOCK_BIN=/nonexistent/pipelock"), []string{"/nonexistent/pipelock"}},
		{"no firewall configuration", remove("pipelock.yaml"), []string{"pipelock.yaml"}},
		{"an unparsable firewall configuration", write("pipelock.yaml", "mode: ["), []string{"pipelock"}},
		{"no firewall CA", remove("pipelock-ca-key.pem"), []string{"pipelock-ca-key.pem"}},
		{"a next hop that is no URL", set("EGRESS_UPSTREAM_PROXY=proxy"), []string{"EGRESS_UPSTREAM_PROXY"}},
		{"a resolver that is no address", set("EGRESS_RESOLVER=dns"), []string{"EGRESS_RESOLVER"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.broken(t, w)
			refuse(t, w.bundleProcess, c.words...)
			if _, err := os.Stat(w.path("egress-ca-key.pem")); c.name == "no CA key" && err == nil {
				t.Error("a CA was minted")
			}
			if _, err := os.Stat(w.path("egress-ca.pem")); c.name == "no CA certificate" && err == nil {
				t.Error("a CA was minted")
			}
			if strings.Contains(w.log.String(), token) {
				t.Error("the log shows the token")
			}
		})
	}
	t.Run("control: nothing broken", func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.waitReady()
		w.works()
		w.stop()
	})
}

func TestANextHopThatIsEgressItselfIsRefused(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	w := newWorld(t, "PIPELOCK_LISTEN="+address, "EGRESS_UPSTREAM_PROXY=http://"+address)
	refuse(t, w.bundleProcess, "EGRESS_UPSTREAM_PROXY", address)
}
