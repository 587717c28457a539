package egress

import (
	"slices"
	"testing"

	"github.com/claude-bottle/claude-bottle/policy"
)

// TestAddresses: an allowed name leads to the public internet, or to where its
// route says.
func TestAddresses(t *testing.T) {
	l := newLab(t, route("api.test")+"  - host: public.test\n  - host: \"*.wild.test\"\n  - host: public.test\n    ports: [80]\n")
	bad := map[string][]string{
		"loopback":      {"127.0.0.1"},
		"loopback v6":   {"::1"},
		"mapped":        {"::ffff:127.0.0.1"},
		"private":       {"10.1.2.3"},
		"metadata":      {"169.254.169.254"},
		"metadata v6":   {"fd00:ec2::254"},
		"shared":        {"100.100.100.200"},
		"unspecified":   {"0.0.0.0"},
		"NAT64":         {"64:ff9b::a00:1"},
		"one of two":    {"93.184.216.34", "127.0.0.1"},
		"other network": {"192.168.1.1"},
	}
	for name, ips := range bad {
		l.mu.Lock()
		l.names["public.test"] = ips
		l.mu.Unlock()
		l.wantBlock(name, l.ask("GET", "https://public.test/", ""), policy.Address)
		l.wantBlock(name+", plain", l.ask("GET", "http://public.test/", ""), policy.Address)
	}
	// The route's networks are its own.
	l.names["api.test"] = []string{"10.1.2.3"}
	l.wantBlock("outside of the networks", l.ask("GET", "https://api.test/", ""), policy.Address)
	l.names["api.test"] = []string{"127.0.0.1"}
	l.asked()
	l.wantThrough("control", l.ask("GET", "https://api.test/", ""))
	if asked := l.asked(); !slices.Equal(asked, []string{"api.test"}) {
		t.Errorf("looked up %v, want the name once", asked)
	}
	if len(l.verdicts(`"rule":"address"`)) != 2*len(bad)+1 {
		t.Error("the refusals are not all in the audit log")
	}
}

// TestNoSuchName is the origin's trouble, not a refusal.
func TestNoSuchName(t *testing.T) {
	l := newLab(t, "  - host: missing.test\n  - host: missing.test\n    ports: [80]\n")
	for _, url := range []string{"https://missing.test/", "http://missing.test/"} {
		if a := l.ask("GET", url, ""); a.status != 502 || a.rule != "" {
			t.Errorf("%s: %d %s", url, a.status, a.body)
		}
	}
}

// TestLiteral: an address is allowed where a route writes it out, and needs no
// name in the TLS handshake.
func TestLiteral(t *testing.T) {
	l := newLab(t, route("127.0.0.1")+"  - host: 127.0.0.2\n")
	if got := l.wantThrough("literal", l.ask("GET", "https://127.0.0.1/", "")); got.host != "127.0.0.1" {
		t.Errorf("the origin was called %q", got.host)
	}
	l.wantBlock("without a network", l.ask("GET", "https://127.0.0.2/", ""), policy.Address)
	l.wantBlock("not written out", l.ask("GET", "https://127.0.0.3/", ""), policy.IPLiteral)
	if asked := l.asked(); len(asked) > 0 {
		t.Errorf("%v was looked up", asked)
	}
}

// TestOtherPort: the port belongs to what was decided on.
func TestOtherPort(t *testing.T) {
	l := newLab(t, route("api.test", "ports: [8443]"))
	if got := l.wantThrough("8443", l.ask("GET", "https://api.test:8443/", "")); got.host != "api.test:8443" {
		t.Errorf("the origin was called %q", got.host)
	}
	l.wantBlock("443", l.ask("GET", "https://api.test/", ""), policy.Port)
}
