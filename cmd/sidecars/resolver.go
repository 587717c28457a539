package main

import (
	"context"
	"net"
)

// useResolver makes every lookup of this process ask one DNS server instead of
// those in /etc/resolv.conf.
func useResolver(server string) {
	net.DefaultResolver = &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server)
		},
	}
}
