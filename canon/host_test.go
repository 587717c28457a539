package canon_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/canon"
)

func TestParseHost(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	name253 := strings.Repeat(label63+".", 3) + strings.Repeat("b", 61)
	for _, c := range []struct {
		in, want string
		err      error
	}{
		{in: "api.github.com", want: "api.github.com"},
		{in: "API.GitHub.Com", want: "api.github.com"},
		{in: "api.github.com.", want: "api.github.com"},
		{in: "localhost", want: "localhost"},
		{in: "_egress.local", want: "_egress.local"},
		{in: "r3---sn-abc.test", want: "r3---sn-abc.test"},
		{in: "bücher.test", want: "xn--bcher-kva.test"},
		{in: "XN--BCHER-KVA.test", want: "xn--bcher-kva.test"},
		{in: "1e100.net", want: "1e100.net"},
		{in: "0xcafe.test", want: "0xcafe.test"},
		{in: "127.test", want: "127.test"},
		{in: name253, want: name253},
		{in: name253 + ".", want: name253},
		{in: "192.0.2.1", want: "192.0.2.1"},
		{in: "2001:db8::1", want: "2001:db8::1"},
		{in: "[2001:DB8::1]", want: "2001:db8::1"},

		{in: "", err: canon.ErrMalformed},
		{in: ".", err: canon.ErrMalformed},
		{in: "a..test", err: canon.ErrMalformed},
		{in: ".a.test", err: canon.ErrMalformed},
		{in: "a.test..", err: canon.ErrMalformed},
		{in: "a b.test", err: canon.ErrMalformed},
		{in: " a.test", err: canon.ErrMalformed},
		{in: "a.test\t", err: canon.ErrMalformed},
		{in: "a.test\x00", err: canon.ErrMalformed},
		{in: "a.test\x00.evil.test", err: canon.ErrMalformed},
		{in: "a.test\r\nX: y", err: canon.ErrMalformed},
		{in: "user@a.test", err: canon.ErrMalformed},
		{in: "a.test%2eevil.test", err: canon.ErrMalformed},
		{in: "a%00.test", err: canon.ErrMalformed},
		{in: "a.test/x", err: canon.ErrMalformed},
		{in: "a\\b.test", err: canon.ErrMalformed},
		{in: "*.a.test", err: canon.ErrMalformed},
		{in: "-a.test", err: canon.ErrMalformed},
		{in: "a-.test", err: canon.ErrMalformed},
		{in: "a。test", err: canon.ErrMalformed},
		{in: "a．test", err: canon.ErrMalformed},
		{in: "a｡test", err: canon.ErrMalformed},
		{in: "a\u200b.test", err: canon.ErrMalformed},
		{in: "a\u200d.test", err: canon.ErrMalformed},
		{in: "a\u00ad.test", err: canon.ErrMalformed},
		{in: "a\u202e.test", err: canon.ErrMalformed},
		{in: "ａ.test", err: canon.ErrMalformed},
		{in: "\u212A.test", err: canon.ErrMalformed}, // Kelvin sign
		{in: "a\xff.test", err: canon.ErrMalformed},
		{in: "xn--a.test", err: canon.ErrMalformed},
		{in: "xn--.test", err: canon.ErrMalformed},
		{in: "xn--github-.test", err: canon.ErrMalformed}, // decodes to plain "github"
		{in: label63 + "a.test", err: canon.ErrMalformed},
		{in: name253 + "b", err: canon.ErrMalformed},
		{in: "a.123", err: canon.ErrMalformed},
		{in: "1.2.3.4.5", err: canon.ErrMalformed},
		{in: "a.0x7f", err: canon.ErrMalformed},
		{in: "[a.test]", err: canon.ErrMalformed},
		{in: "[192.0.2.1]", err: canon.ErrMalformed},
		{in: "[2001:db8::1", err: canon.ErrMalformed},
		{in: "2001:db8::1]", err: canon.ErrMalformed},
		{in: "2001:db8::zz", err: canon.ErrMalformed},
		{in: "a.test:443", err: canon.ErrMalformed},

		{in: "2130706433", err: canon.ErrIPForm},
		{in: "0x7f000001", err: canon.ErrIPForm},
		{in: "0X7F000001", err: canon.ErrIPForm},
		{in: "0x", err: canon.ErrIPForm},
		{in: "017700000001", err: canon.ErrIPForm},
		{in: "127.1", err: canon.ErrIPForm},
		{in: "127.0.1", err: canon.ErrIPForm},
		{in: "127.0.0.01", err: canon.ErrIPForm},
		{in: "0177.0.0.1", err: canon.ErrIPForm},
		{in: "0x7f.0.0.1", err: canon.ErrIPForm},
		{in: "127.0.0.256", err: canon.ErrIPForm},
		{in: "127.0.0.1.", err: canon.ErrIPForm},
		{in: "169.254.43518", err: canon.ErrIPForm},
		{in: "::ffff:127.0.0.1", err: canon.ErrIPForm},
		{in: "[::ffff:7f00:1]", err: canon.ErrIPForm},
		{in: "[fe80::1%eth0]", err: canon.ErrIPForm},
		{in: "[fe80::1%25eth0]", err: canon.ErrIPForm},
		{in: "0:0:0:0:0:0:0:1", err: canon.ErrIPForm},
		{in: "2001:0db8::1", err: canon.ErrIPForm},
	} {
		t.Run(c.in, func(t *testing.T) {
			h, err := canon.ParseHost(c.in)
			if !errors.Is(err, c.err) || h.String() != c.want {
				t.Fatalf("ParseHost(%q) = %q, %v; want %q, %v", c.in, h, err, c.want, c.err)
			}
			if err != nil && h != (canon.Host{}) {
				t.Errorf("ParseHost(%q) returns host %q beside its error", c.in, h)
			}
		})
	}
}

func TestHostIP(t *testing.T) {
	for in, want := range map[string]bool{"192.0.2.1": true, "[2001:db8::1]": true, "a.test": false} {
		h, err := canon.ParseHost(in)
		if err != nil {
			t.Fatal(err)
		}
		if ip, ok := h.IP(); ok != want || ok && ip.String() != h.String() {
			t.Errorf("%s: IP() = %v, %v", in, ip, ok)
		}
	}
}

func TestParseAuthority(t *testing.T) {
	for _, c := range []struct {
		in   string
		port uint16
		want string
		err  error
	}{
		{in: "A.test:8443", want: "a.test:8443"},
		{in: "a.test", port: 443, want: "a.test:443"},
		{in: "a.test:80", port: 443, want: "a.test:80"},
		{in: "a.test.:443", want: "a.test:443"},
		{in: "[2001:db8::1]:443", want: "[2001:db8::1]:443"},
		{in: "[2001:db8::1]", port: 443, want: "[2001:db8::1]:443"},
		{in: "192.0.2.1:65535", want: "192.0.2.1:65535"},

		{in: "a.test", err: canon.ErrMalformed},
		{in: "a.test:", port: 443, err: canon.ErrMalformed},
		{in: "a.test:0", port: 443, err: canon.ErrMalformed},
		{in: "a.test:0443", err: canon.ErrMalformed},
		{in: "a.test:+443", err: canon.ErrMalformed},
		{in: "a.test:-1", err: canon.ErrMalformed},
		{in: "a.test: 443", err: canon.ErrMalformed},
		{in: "a.test:65536", err: canon.ErrMalformed},
		{in: "a.test:65979", err: canon.ErrMalformed}, // 443 in 16 bits
		{in: "a.test:https", err: canon.ErrMalformed},
		{in: "a.test:443:443", err: canon.ErrMalformed},
		{in: "a.test:443 ", err: canon.ErrMalformed},
		{in: "a.test:4４3", err: canon.ErrMalformed},
		{in: "user:pw@a.test:443", err: canon.ErrMalformed},
		{in: ":443", err: canon.ErrMalformed},
		{in: "", port: 443, err: canon.ErrMalformed},
		{in: "::1", port: 443, err: canon.ErrMalformed},
		{in: "2001:db8::1:443", port: 443, err: canon.ErrMalformed},
		{in: "[2001:db8::1]443", port: 443, err: canon.ErrMalformed},
		{in: "[2001:db8::1]x:443", err: canon.ErrMalformed},
		{in: "127.1:443", err: canon.ErrIPForm},
		{in: "[::ffff:127.0.0.1]:443", err: canon.ErrIPForm},
	} {
		t.Run(c.in, func(t *testing.T) {
			a, err := canon.ParseAuthority(c.in, c.port)
			if !errors.Is(err, c.err) {
				t.Fatalf("ParseAuthority(%q, %d): %v, want %v", c.in, c.port, err, c.err)
			}
			if err == nil && a.String() != c.want {
				t.Errorf("ParseAuthority(%q, %d) = %s, want %s", c.in, c.port, a, c.want)
			}
		})
	}
}
