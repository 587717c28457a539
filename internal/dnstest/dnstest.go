// Package dnstest is a DNS server for tests.
package dnstest

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Serve answers on loopback until the test ends and returns the server's
// address, host:port. The names have the given IPv4 address and nothing else;
// others do not exist. Without names every name has it.
func Serve(t testing.TB, address netip.Addr, names ...string) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		packet := make([]byte, 1500)
		for {
			n, client, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			if reply, err := answer(packet[:n], address, names); err == nil {
				conn.WriteTo(reply, client)
			}
		}
	}()
	return conn.LocalAddr().String()
}

func answer(query []byte, address netip.Addr, names []string) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	for _, q := range m.Questions {
		switch {
		case len(names) > 0 && !slices.Contains(names, strings.TrimSuffix(q.Name.String(), ".")):
			m.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
				Body:   &dnsmessage.AResource{A: address.As4()},
			})
		}
	}
	return m.Pack()
}
