//go:build linux

package docker

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/backend"
)

// A network's addresses are its name's, unless somebody has them; a name that is
// taken and a range that is used up are errors with a way out.
func TestPick(t *testing.T) {
	free := taken{}
	first, err := free.pick("one")
	if err != nil || first.subnet != subnetOf("one", 0) {
		t.Errorf("%v %v", first, err)
	}
	if second, err := free.pick("one"); err != nil || second.subnet != subnetOf("one", 1) {
		t.Errorf("the next: %v %v", second, err)
	}
	wide := taken{subnets: []netip.Prefix{netip.PrefixFrom(first.subnet.Addr(), 27).Masked()}}
	if w, err := wide.pick("one"); err != nil || w.subnet.Overlaps(wide.subnets[0]) {
		t.Errorf("beside a larger network: %v %v", w, err)
	}
	if _, err := (&taken{names: map[string]bool{"one": true}}).pick("one"); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("a name that is taken: %v", err)
	}
	if _, err := (&taken{subnets: []netip.Prefix{netRange}}).pick("one"); err == nil || !strings.Contains(err.Error(), "bottle cleanup") {
		t.Errorf("a range that is used up: %v", err)
	}
}

// A bottle whose addresses are somebody's is up at others; also when that shows
// only when the engine is asked for the network.
func TestAddressesAreTaken(t *testing.T) {
	docker(t, "network", "create", "--subnet", subnetOf(innerNetwork("squeezed"), 0).String(), "claude-bottle-test-squatter")
	t.Cleanup(func() { docker(t, "network", "rm", "claude-bottle-test-squatter") })
	home := newHome(t)
	begin(t, home, newPlan(t, home, "squeezed", "sleep", "300"), backend.Stdio{})
	if got := docker(t, "network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", innerNetwork("squeezed")); got != subnetOf(innerNetwork("squeezed"), 1).String() {
		t.Errorf("its network is %s", got)
	}
	s := &start{backend: newBackend(home), api: engine(t), plan: newPlan(t, home, "late", "true")}
	s.layout = layout{plan: s.plan, inner: wire{subnetOf(innerNetwork("squeezed"), 0)}}
	if err := s.makeInner(t.Context()); !errors.Is(err, errOverlap) {
		t.Errorf("an engine that knows better: %v", err)
	}
}

// An engine that is too old, or not one for Linux, is told by name and version.
func TestWrongEngine(t *testing.T) {
	for name, c := range map[string]struct{ api, system, want string }{
		"too old": {"1.40", "linux", "too old: it speaks API 1.40"}, "windows": {"1.41", "windows", "runs windows containers"},
	} {
		t.Run(name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "sock")
			listener, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("API-Version", c.api)
				w.Header().Set("OSType", c.system)
			})}}
			server.Start()
			defer server.Close()
			t.Setenv("DOCKER_HOST", "unix://"+socket)
			if err := newBackend(newHome(t)).Available(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}
