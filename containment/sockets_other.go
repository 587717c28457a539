//go:build !linux

package containment

import (
	"context"
	"net"
)

// sockets tries the one kind of raw socket that every system has.
func sockets(bool) []probe {
	return []probe{{"raw", "IPv4", func(ctx context.Context) string {
		conn, err := new(net.ListenConfig).ListenPacket(ctx, "ip4:icmp", "0.0.0.0")
		if err != nil {
			return ""
		}
		conn.Close()
		return "the socket opens"
	}}}
}
