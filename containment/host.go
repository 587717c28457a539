package containment

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// outside are public addresses, and the metadata service's, that a leak of any
// kind would reach.
var outside = struct{ tcp, udp []string }{
	tcp: []string{"1.1.1.1:443", "8.8.8.8:53", "169.254.169.254:80", "[2606:4700:4700::1111]:443", "[fd00:ec2::254]:80"},
	udp: []string{"8.8.8.8:53", "169.254.169.254:53", "[2606:4700:4700::1111]:53"},
}

// outsideName is a name that exists outside.
const outsideName = "example.com"

// Outside are the targets that are the same wherever a bottle runs, for where
// nobody looks around first.
func Outside() Targets {
	return Targets{TCP: slices.Clone(outside.tcp), UDP: slices.Clone(outside.udp), Names: []string{outsideName}}
}

// Host is what can be reached from outside the isolation, with listeners of
// its own so that there is something to find. Close it after the proof.
type Host struct {
	// Targets is complete but for Control.
	Targets
	listeners []net.Listener
}

// NewHost looks around on the host: every address of every interface, the
// gateways, the resolvers, and a listener on all addresses and on an abstract
// unix socket.
func NewHost() (*Host, error) {
	h := &Host{Targets: Outside()}

	port, err := h.listen()
	if err != nil {
		h.Close()
		return nil, err
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("addresses of this host: %w", err)
	}
	h.TCP = append(h.TCP, net.JoinHostPort("127.0.0.1", port))
	for _, address := range addresses {
		ip := ipOf(address)
		if !ip.IsValid() || ip.IsLoopback() {
			continue
		}
		h.TCP = append(h.TCP, net.JoinHostPort(ip.String(), port))
		if !ip.IsLinkLocalUnicast() {
			h.UDP = append(h.UDP, net.JoinHostPort(ip.String(), "53"))
		}
	}
	for _, gateway := range gateways() {
		h.TCP = append(h.TCP, net.JoinHostPort(gateway, "80"), net.JoinHostPort(gateway, "53"))
		h.UDP = append(h.UDP, net.JoinHostPort(gateway, "53"))
	}
	for _, resolver := range resolvers() {
		h.TCP = append(h.TCP, net.JoinHostPort(resolver, "53"))
		h.UDP = append(h.UDP, net.JoinHostPort(resolver, "53"))
	}
	for _, list := range []*[]string{&h.TCP, &h.UDP} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return h, nil
}

// listen opens what a leak would find.
func (h *Host) listen() (port string, err error) {
	tcp, err := net.Listen("tcp", ":0")
	if err != nil {
		return "", fmt.Errorf("a listener for the proof of containment: %w", err)
	}
	h.listeners = append(h.listeners, tcp)
	name := "claude-bottle-" + rand.Text()
	if unix, err := net.Listen("unix", "@"+name); err == nil { // systems without abstract sockets have none to leak
		h.listeners = append(h.listeners, unix)
		h.Abstract = append(h.Abstract, name)
	}
	_, port, err = net.SplitHostPort(tcp.Addr().String())
	return port, err
}

// Close closes the listeners.
func (h *Host) Close() {
	for _, l := range h.listeners {
		l.Close()
	}
}

func ipOf(address net.Addr) netip.Addr {
	network, ok := address.(*net.IPNet)
	if !ok {
		return netip.Addr{}
	}
	ip, _ := netip.AddrFromSlice(network.IP)
	return ip.Unmap()
}

// gateways reads the kernel's IPv4 routing table, proc(5); elsewhere none.
func gateways() []string {
	var found []string
	eachLine("/proc/net/route", func(fields []string) {
		if len(fields) < 3 {
			return
		}
		raw, err := strconv.ParseUint(fields[2], 16, 32)
		if err != nil || raw == 0 {
			return
		}
		// The kernel prints the address as a number of this machine's order;
		// all that Go's Linux ports run on here are little-endian.
		ip := netip.AddrFrom4([4]byte{byte(raw), byte(raw >> 8), byte(raw >> 16), byte(raw >> 24)})
		found = append(found, ip.String())
	})
	return found
}

// resolvers are those of resolv.conf(5) that are not on loopback.
func resolvers() []string {
	var found []string
	eachLine("/etc/resolv.conf", func(fields []string) {
		if len(fields) < 2 || fields[0] != "nameserver" {
			return
		}
		if ip, err := netip.ParseAddr(fields[1]); err == nil && !ip.IsLoopback() {
			found = append(found, ip.WithZone("").String())
		}
	})
	return found
}

func eachLine(path string, do func(fields []string)) {
	file, err := os.Open(path)
	if err != nil {
		return
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		do(strings.Fields(lines.Text()))
	}
}
