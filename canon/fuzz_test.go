package canon_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/canon"
)

func FuzzHost(f *testing.F) {
	for _, seed := range []string{
		"API.github.com.", "bücher.test", "xn--bcher-kva.test", "a。test", "0x7f.1",
		"127.0.0.1", "[2001:DB8::1]", "::ffff:127.0.0.1", "fe80::1%eth0", "_egress.local",
		"a\u200b.test", "xn--github-.test", "a.test\x00", "ß.test", "*.a.test",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		h, err := canon.ParseHost(in)
		if err != nil {
			return
		}
		again, err := canon.ParseHost(h.String())
		if err != nil || again != h {
			t.Fatalf("%q → %q → %q, %v", in, h, again, err)
		}
		if strings.ToLower(h.String()) != h.String() || strings.ContainsAny(h.String(), " \t\r\n\x00%/@*\\") {
			t.Fatalf("%q → %q is not canonical", in, h)
		}
		ip, isIP := h.IP()
		parsed, err := netip.ParseAddr(h.String())
		if isIP != (err == nil) || isIP && (parsed != ip || ip.Is4In6() || ip.Zone() != "") {
			t.Fatalf("%q → %q: IP() = %v, %v but netip says %v, %v", in, h, ip, isIP, parsed, err)
		}
	})
}

func FuzzAuthority(f *testing.F) {
	for _, seed := range []string{
		"a.test:443", "a.test", "[2001:db8::1]:443", "::1", "u:p@a.test:1", "a.test:0443", "a.test:", "[::1]x:1",
	} {
		f.Add(seed, uint16(443))
	}
	f.Fuzz(func(t *testing.T, in string, port uint16) {
		a, err := canon.ParseAuthority(in, port)
		if err != nil {
			return
		}
		again, err := canon.ParseAuthority(a.String(), 0)
		if err != nil || again != a || a.Port == 0 {
			t.Fatalf("%q → %q → %q, %v", in, a, again, err)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"", "/", "//a/../b/", "/%2e%2e/", "/a%2fb", "/%252e%252e", "/a;b", "/€", "/%c0%ae", "/a/./..", "*", "/%",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		p, err := canon.ParsePath(in)
		if err != nil {
			return
		}
		if again, err := canon.ParsePath(string(p)); err != nil || again != p {
			t.Fatalf("%q → %q → %q, %v", in, p, again, err)
		}
		if !p.Under("/") || strings.ContainsAny(string(p), ";\\?# \x00\r\n") || strings.Contains(string(p), "//") {
			t.Fatalf("%q → %q is not canonical", in, p)
		}
		for segment := range strings.SplitSeq(string(p), "/") {
			if segment == "." || segment == ".." {
				t.Fatalf("%q → %q holds a dot segment", in, p)
			}
		}
	})
}

func FuzzSlashedPath(f *testing.F) {
	for _, seed := range []string{
		"", "/@a%2fb", "/a%2F..%2fb", "/a%2f%2e%2e", "/%2f", "/a%252f%2fb", "/a%2fb/../c", "/%c3%2f%a9", "/a%%2fb",
	} {
		f.Add(seed)
	}
	slashes := strings.NewReplacer("%2f", "/", "%2F", "/")
	f.Fuzz(func(t *testing.T, in string) {
		plain, plainErr := canon.ParsePath(in)
		read, sent, err := canon.ParseSlashedPath(in)
		if plainErr == nil && (err != nil || read != plain || sent != plain) {
			t.Fatalf("%q → %q, %q, %v without encoded slash; ParsePath says %q", in, read, sent, err, plain)
		}
		if err != nil {
			return
		}
		if again, err := canon.ParsePath(string(read)); err != nil || again != read {
			t.Fatalf("%q → %q → %q, %v", in, read, again, err)
		}
		if again, same, err := canon.ParseSlashedPath(string(sent)); err != nil || again != read || same != sent {
			t.Fatalf("%q → %q → %q, %q, %v", in, sent, again, same, err)
		}
		if slashes.Replace(string(sent)) != string(read) || strings.ContainsAny(string(sent), ";\\?# \x00\r\n") {
			t.Fatalf("%q is sent as %q and read as %q", in, sent, read)
		}
	})
}
