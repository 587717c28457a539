package main

import (
	"net"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer is a DNS server for which every name is 127.0.0.1.
func nameServer(t *testing.T) (address string) {
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
			var message dnsmessage.Message
			if message.Unpack(packet[:n]) != nil || len(message.Questions) == 0 {
				continue
			}
			message.Response, message.RecursionAvailable, message.Additionals = true, true, nil
			if question := message.Questions[0]; question.Type == dnsmessage.TypeA {
				message.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 60},
					Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
				}}
			}
			if answer, err := message.Pack(); err == nil {
				conn.WriteTo(answer, client)
			}
		}
	}()
	return conn.LocalAddr().String()
}
