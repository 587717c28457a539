package containment

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"golang.org/x/net/dns/dnsmessage"
)

// controlRequest is one that every role answers with HTTP, and egress without
// counting it as a refusal.
const controlRequest = "GET http://_egress.local/allowlist HTTP/1.1\r\n" +
	"Host: _egress.local\r\nConnection: close\r\n\r\n"

// control asks the bundle for any HTTP answer.
func control(ctx context.Context, address string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := conn.Write([]byte(controlRequest)); err != nil {
		return err
	}
	line, err := bufio.NewReaderSize(conn, 64).ReadSlice('\n')
	if !strings.HasPrefix(string(line), "HTTP/1.") {
		return fmt.Errorf("%s does not answer with HTTP: %w", address, errors.Join(err, ctx.Err()))
	}
	return nil
}

// tcp counts a refusal as reached: only something that is there can refuse.
// On loopback that is the isolation itself.
func tcp(ctx context.Context, address string) string {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	switch {
	case err == nil:
		conn.Close()
		return "connected"
	case loopback(address):
		return ""
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return "answered with a refusal"
	}
	return ""
}

func loopback(address string) bool {
	ip, err := netip.ParseAddrPort(address)
	return err == nil && ip.Addr().IsLoopback()
}

// udp needs no answer: with a route, and without a filter, datagrams leave.
func udp(ctx context.Context, address string) string {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "udp", address)
	if err != nil {
		return ""
	}
	defer conn.Close()
	if _, err := conn.Write(nil); err != nil {
		return ""
	}
	return "there is a route"
}

func abstract(ctx context.Context, name string) string {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", "@"+name)
	if err != nil {
		return ""
	}
	conn.Close()
	return "connected"
}

// ask puts a question to one resolver; any answer at all is one too many.
func ask(ctx context.Context, server string) string {
	question := dnsmessage.Message{
		Header: dnsmessage.Header{ID: 1, RecursionDesired: true},
		Questions: []dnsmessage.Question{{
			Name: dnsmessage.MustNewName(outsideName + "."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET,
		}},
	}
	packed, err := question.Pack()
	if err != nil {
		return err.Error() // nothing was asked, so nothing is shown
	}
	conn, err := new(net.Dialer).DialContext(ctx, "udp", server)
	if err != nil {
		return ""
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := conn.Write(packed); err != nil {
		return ""
	}
	if _, err := conn.Read(make([]byte, 512)); err != nil {
		return ""
	}
	return "answered"
}

func resolve(ctx context.Context, name string) string {
	resolver := net.Resolver{PreferGo: true}
	if addresses, err := resolver.LookupHost(ctx, name); err == nil {
		return "resolved to " + strings.Join(addresses, " ")
	}
	return ""
}
