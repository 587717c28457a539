package egress

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/audit"
)

// TestNoRecordNoTraffic: what cannot be recorded does not happen.
func TestNoRecordNoTraffic(t *testing.T) {
	var log *audit.Log
	l := newLab(t, route("api.test")+route("api.test", "ports: [80]"), func(c *Config) { log = c.Audit })
	client := l.client(false)
	ask := func(url string) answer {
		a, err := l.do(client, must(http.NewRequest("GET", url, nil))(t))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if ask("https://api.test/").status != 200 || ask("http://api.test/").status != 200 || len(l.origin.all()) != 2 {
		t.Fatal("control")
	}
	log.Close()
	for url, host := range map[string]string{"https://api.test/": "api.test", "http://api.test/": "api.test", "https://other.test/": "other.test"} {
		a := ask(url)
		if a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, `"error":"unavailable","role":"egress","host":"`+host+`"`) {
			t.Errorf("%s: %d %s", url, a.status, a.body)
		}
	}
	if got := l.origin.all(); len(got) > 0 {
		t.Errorf("the origin was asked %v", got)
	}
}

// TestDoor: the legacy address has the same rules and answers for the child.
func TestDoor(t *testing.T) {
	door := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	l := newLab(t, route("api.test"), func(c *Config) {
		c.PipelockDoor = []net.Listener{door}
		c.ChildHealth = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "child") })
	})
	get := func(address, path string) answer {
		response, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return answer{status: response.StatusCode, body: string(body)}
	}
	if a := get(door.Addr().String(), "/health"); a.status != 200 || a.body != "child" {
		t.Errorf("the door's health: %d %s", a.status, a.body)
	}
	for _, address := range []string{door.Addr().String(), l.proxy} {
		for _, path := range []string{"/fetch?url=http://api.test/", "/ws", "/stats", "/metrics", "/health/", "/healthz"} {
			if a := get(address, path); a.status != http.StatusForbidden {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
	}
	if a := get(l.proxy, "/health"); a.status != http.StatusForbidden {
		t.Errorf("the proxy's health: %d", a.status)
	}
	l.proxy = door.Addr().String()
	l.wantThrough("allowed", l.ask("GET", "https://api.test/", ""))
	l.wantBlock("refused", l.ask("GET", "https://other.test/", ""), "no-route")
	l.wantBlock("the door itself", l.ask("GET", "https://127.0.0.1:8888/", ""), "ip-literal")
}
