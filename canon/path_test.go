package canon_test

import (
	"errors"
	"testing"

	"github.com/claude-bottle/claude-bottle/canon"
)

func TestParsePath(t *testing.T) {
	for _, c := range []struct {
		in, want string
		err      error
	}{
		{in: "", want: "/"},
		{in: "/", want: "/"},
		{in: "//", want: "/"},
		{in: "/a/b", want: "/a/b"},
		{in: "/a/b/", want: "/a/b/"},
		{in: "//a///b//", want: "/a/b/"},
		{in: "/a/./b", want: "/a/b"},
		{in: "/a/.", want: "/a/"},
		{in: "/a/..", want: "/"},
		{in: "/a/b/..", want: "/a/"},
		{in: "/a/b/../c", want: "/a/c"},
		{in: "/a//../b", want: "/b"},
		{in: "/a/%2e%2E/b", want: "/b"},
		{in: "/a/.%2e/b", want: "/b"},
		{in: "/%2e/b", want: "/b"},
		{in: "/...", want: "/..."},
		{in: "/.git/config", want: "/.git/config"},
		{in: "/a/..b", want: "/a/..b"},
		{in: "/%67it/%41%7e%2D", want: "/git/A~-"},
		{in: "/a%20b", want: "/a%20b"},
		{in: "/a%2bb+c", want: "/a%2Bb+c"},
		{in: "/%e2%82%ac", want: "/%E2%82%AC"},
		{in: "/€", want: "/%E2%82%AC"},
		{in: "/{x}[y]\"<>^`|", want: "/%7Bx%7D%5By%5D%22%3C%3E%5E%60%7C"},
		{in: "/%252e%252e/%252f", want: "/%252e%252e/%252f"},
		{in: "/a:b@c!$&'()*,=", want: "/a:b@c!$&'()*,="},
		{in: "/a%3fb%23", want: "/a%3Fb%23"},
		{in: "/A/b", want: "/A/b"},

		{in: "*", err: canon.ErrMalformed},
		{in: "a", err: canon.ErrMalformed},
		{in: "http://a.test/", err: canon.ErrMalformed},
		{in: "/%", err: canon.ErrMalformed},
		{in: "/%2", err: canon.ErrMalformed},
		{in: "/%zz", err: canon.ErrMalformed},
		{in: "/%u002f", err: canon.ErrMalformed},
		{in: "/a b", err: canon.ErrMalformed},
		{in: "/a\x00", err: canon.ErrMalformed},
		{in: "/a\r\nHost: x", err: canon.ErrMalformed},
		{in: "/a\x7f", err: canon.ErrMalformed},
		{in: "/a?b", err: canon.ErrMalformed},
		{in: "/a#b", err: canon.ErrMalformed},

		{in: "/..", err: canon.ErrPath},
		{in: "/../a", err: canon.ErrPath},
		{in: "/%2e%2e", err: canon.ErrPath},
		{in: "/a/../../b", err: canon.ErrPath},
		{in: "//../a", err: canon.ErrPath},
		{in: "/a%2fb", err: canon.ErrPath},
		{in: "/a%2Fb", err: canon.ErrPath},
		{in: "/a%5cb", err: canon.ErrPath},
		{in: "/a\\b", err: canon.ErrPath},
		{in: "/a%00b", err: canon.ErrPath},
		{in: "/a%0d%0ab", err: canon.ErrPath},
		{in: "/a;b", err: canon.ErrPath},
		{in: "/a/..;/b", err: canon.ErrPath},
		{in: "/a%3bb", err: canon.ErrPath},
		{in: "/%c0%ae%c0%ae/a", err: canon.ErrPath},
		{in: "/a%c0%afb", err: canon.ErrPath},
		{in: "/%ff", err: canon.ErrPath},
	} {
		t.Run(c.in, func(t *testing.T) {
			p, err := canon.ParsePath(c.in)
			if !errors.Is(err, c.err) || string(p) != c.want {
				t.Fatalf("ParsePath(%q) = %q, %v; want %q, %v", c.in, p, err, c.want, c.err)
			}
		})
	}
}

func TestParseSlashedPath(t *testing.T) {
	for _, c := range []struct {
		in, read, sent string
		err            error
	}{
		{in: "", read: "/", sent: "/"},
		{in: "/a//b", read: "/a/b", sent: "/a/b"},
		{in: "/@types%2fnode", read: "/@types/node", sent: "/@types%2fnode"},
		{in: "/@types%2Fnode", read: "/@types/node", sent: "/@types%2Fnode"},
		{in: "/%40types%2fn%6fde", read: "/%40types/node", sent: "/%40types%2fnode"},
		{in: "/x/../a%2fb%2Fc/", read: "/a/b/c/", sent: "/a%2fb%2Fc/"},
		{in: "/a%2fb/../c", read: "/c", sent: "/c"},
		{in: "/a%252fb", read: "/a%252fb", sent: "/a%252fb"},
		{in: "/a%2fb%252f..", read: "/a/b%252f..", sent: "/a%2fb%252f.."},
		{in: "/...%2f...", read: "/.../...", sent: "/...%2f..."},

		{in: "/%2f", err: canon.ErrPath},
		{in: "/%2fa", err: canon.ErrPath},
		{in: "/a%2f", err: canon.ErrPath},
		{in: "/a%2f/b", err: canon.ErrPath},
		{in: "/a%2f%2fb", err: canon.ErrPath},
		{in: "/a%2f..", err: canon.ErrPath},
		{in: "/a%2f..%2fb", err: canon.ErrPath},
		{in: "/a%2f%2e%2E%2fb", err: canon.ErrPath},
		{in: "/a/..%2fb", err: canon.ErrPath},
		{in: "/a/.%2fb", err: canon.ErrPath},
		{in: "/a/b%2f.", err: canon.ErrPath},
		{in: "/..%2fa", err: canon.ErrPath},
		{in: "/a%2fb/../..", err: canon.ErrPath},
		{in: "/a%2fb;c", err: canon.ErrPath},
		{in: "/a%2fb%5cc", err: canon.ErrPath},
		{in: "/a%2fb%00", err: canon.ErrPath},
		{in: "/a%c0%2fb", err: canon.ErrPath},
		{in: "/a%%2fb", err: canon.ErrMalformed},
		{in: "/a%2%2fb", err: canon.ErrMalformed},
		{in: "a%2fb", err: canon.ErrMalformed},
	} {
		t.Run(c.in, func(t *testing.T) {
			read, sent, err := canon.ParseSlashedPath(c.in)
			if !errors.Is(err, c.err) || string(read) != c.read || string(sent) != c.sent {
				t.Fatalf("ParseSlashedPath(%q) = %q, %q, %v; want %q, %q, %v", c.in, read, sent, err, c.read, c.sent, c.err)
			}
		})
	}
}

func TestPathUnder(t *testing.T) {
	for _, c := range []struct {
		path, rule canon.Path
		want       bool
	}{
		{"/org", "/org", true},
		{"/org/", "/org", true},
		{"/org/repo", "/org", true},
		{"/org/repo", "/", true},
		{"/", "/", true},
		{"/org/repo", "/org/", true},
		{"/org/", "/org/", true},
		{"/org", "/org/", false},
		{"/org-evil", "/org", false},
		{"/org-evil/x", "/org/", false},
		{"/Org/repo", "/org", false},
		{"/or", "/org", false},
		{"/x/org", "/org", false},
		{"/org", "", false},
	} {
		if got := c.path.Under(c.rule); got != c.want {
			t.Errorf("%q under %q: %v", c.path, c.rule, got)
		}
	}
}

func BenchmarkParsePath(b *testing.B) {
	for _, path := range []string{"/repos/acme/widgets/issues", "/a/%2e./%41/€"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := canon.ParsePath(path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
