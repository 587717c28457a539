//go:build linux

package docker

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/backend"
)

// In the split shape requests go through egress and then pipelock. The agent
// has no other way to pipelock, and nobody has one without the bottle's token.
func TestSplitGoesThroughPipelock(t *testing.T) {
	t.Setenv(splitVariable, "1")
	home := newHome(t)
	bottleFile(t, home, strings.NewReplacer(
		"    - host: first.example.com\n", "    - {host: origin.test, ports: [80], networks: [198.18.0.0/15]}\n",
		`pipelock: "off"`, "pipelock: required",
	).Replace(plainBottle))
	bottle := begin(t, home, newPlan(t, home, "hops", "sleep", "300"), backend.Stdio{})
	origin := docker(t, "run", "-d", "--network", "claude-bottle-egress-hops", "--network-alias", "origin.test", agentImage, "python3", "-u", "-m", "http.server", "80")
	t.Cleanup(func() { docker(t, "rm", "-f", origin) })
	arrived := func(what string) int { return strings.Count(docker(t, "logs", origin), what) }
	eventually(t, "the origin serves", func() bool {
		_, code := execute(t, bottle, "curl -fsS -m 5 -o /dev/null http://origin.test/ready")
		return code == 22 && arrived("/ready") > 0
	})

	out, _ := execute(t, bottle, "curl -sS -m 5 -o /dev/null -w '%{http_code}' http://origin.test/?through=both")
	if out != "200" || arrived("through=both") != 1 {
		t.Errorf("through both: %s, arrived %d times", out, arrived("through=both"))
	}
	if said := docker(t, "logs", "claude-bottle-pipelock-hops"); !strings.Contains(said, "origin.test") {
		t.Errorf("pipelock never saw the request: %s", said)
	}
	// The name pipelock is egress, with egress's rules.
	out, _ = execute(t, bottle, "for url in http://origin.test/?by=alias http://other.test/; do curl -sS -m 5 -o /dev/null -w '%{http_code} ' -x http://pipelock:8888 $url; done")
	if out != "200 403 " || arrived("by=alias") != 1 {
		t.Errorf("by the name pipelock: %s, arrived %d times", out, arrived("by=alias"))
	}
	address := docker(t, "inspect", "-f", `{{(index .NetworkSettings.Networks "claude-bottle-egress-hops").IPAddress}}`, "claude-bottle-pipelock-hops")
	if _, code := execute(t, bottle, "curl -sS -m 3 -x http://"+address+":8888 http://origin.test/?around=egress"); code == 0 || arrived("around=egress") != 0 {
		t.Errorf("the agent reached pipelock at %s", address)
	}
	if networks := docker(t, "inspect", "-f", `{{range $name, $end := .NetworkSettings.Networks}}{{$name}} {{end}}`, "claude-bottle-pipelock-hops"); networks != "claude-bottle-egress-hops" {
		t.Errorf("pipelock is on %s", networks)
	}

	token := ""
	for variable := range strings.Lines(docker(t, "inspect", "-f", `{{range .Config.Env}}{{println .}}{{end}}`, "claude-bottle-pipelock-hops")) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(variable), "PIPELOCK_TOKEN="); ok {
			token = value
		}
	}
	for _, c := range []struct{ name, authorization string }{{"nothing", ""}, {"another", "Bearer not-the-right-one"}, {"right", "Bearer " + token}} {
		proxy := &url.URL{Scheme: "http", Host: address + ":8888"}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://origin.test/?token="+c.name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.authorization != "" {
			request.Header.Set("Proxy-Authorization", c.authorization)
		}
		response, err := (&http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if passed := response.StatusCode == http.StatusOK; passed != (c.name == "right") || passed != (arrived("token="+c.name) == 1) {
			t.Errorf("the host with token %s: %s, arrived %d times", c.name, response.Status, arrived("token="+c.name))
		}
	}
}
