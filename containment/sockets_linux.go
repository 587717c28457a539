package containment

import (
	"context"

	"golang.org/x/sys/unix"
)

// sockets tries the kinds of socket with which an agent could speak around
// TCP and UDP.
func sockets(silent bool) []probe {
	opens := func(family, kind, protocol int) func(context.Context) string {
		return func(context.Context) string {
			fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
			if err != nil {
				return ""
			}
			unix.Close(fd)
			return "the socket opens"
		}
	}
	return []probe{
		{"raw", "IPv4", opens(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)},
		{"raw", "IPv6", opens(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6)},
		{"raw", "packet", opens(unix.AF_PACKET, unix.SOCK_DGRAM, 0)},
		{"raw", "vsock", opens(unix.AF_VSOCK, unix.SOCK_STREAM, 0)},
		{"icmp", "1.1.1.1", func(ctx context.Context) string { return ping(ctx, silent) }},
	}
}

// ping opens the unprivileged ICMP socket, where the kernel allows it, and
// looks whether an echo request leaves, or where that shows nothing whether it
// is answered.
func ping(ctx context.Context, silent bool) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	echo := []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}
	if unix.Sendto(fd, echo, 0, &unix.SockaddrInet4{Addr: [4]byte{1, 1, 1, 1}}) != nil {
		return ""
	}
	if !silent {
		return "there is a route"
	}
	for ctx.Err() == nil {
		const while = 20 // ms
		if answered, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, while); answered > 0 {
			return "answered"
		}
	}
	return ""
}
