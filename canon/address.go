package canon

import (
	"encoding/binary"
	"net/netip"
)

// GlobalUnicast reports whether an address belongs to the public internet: a
// global unicast address outside of IANA's special-purpose registries and of
// the addresses at which clouds serve metadata. A form that embeds an IPv4
// address (mapped, NAT64, ISATAP) is judged by that address too; 6to4, Teredo
// and the local NAT64 prefix are refused whole. An invalid address and one
// with a zone are refused.
func GlobalUnicast(ip netip.Addr) bool {
	if !ip.IsValid() || ip.Zone() != "" {
		return false
	}
	ip = ip.Unmap()
	if ip.Is4() {
		return globalV4(ip)
	}
	if wellKnownNAT64.Contains(ip) {
		return globalV4(lastV4(ip))
	}
	if !globalV6.Contains(ip) || within(special6, ip) {
		return false
	}
	return !isISATAP(ip) || globalV4(lastV4(ip))
}

func globalV4(ip netip.Addr) bool { return !within(special4, ip) }

// special4 is IANA's IPv4 special-purpose address registry, multicast, and
// Azure's metadata address; the other clouds' lie within these.
var special4 = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32",
	"169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
	"192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/4", "240.0.0.0/4",
)

var (
	// globalV6 is all that IANA allocates for global unicast; loopback,
	// link-local, unique local, multicast, IPv4-compatible and 64:ff9b:1::/48
	// lie outside.
	globalV6 = netip.MustParsePrefix("2000::/3")
	// wellKnownNAT64 is RFC 6052's prefix, by which IPv6-only networks reach
	// IPv4.
	wellKnownNAT64 = netip.MustParsePrefix("64:ff9b::/96")
	// special6 is what of IANA's IPv6 special-purpose address registry lies
	// within globalV6; 2001::/23 covers Teredo, ORCHID and the rest there.
	special6 = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

func within(all []netip.Prefix, ip netip.Addr) bool {
	for _, prefix := range all {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}

// isISATAP knows the interface identifiers of RFC 5214, section 6.1.
func isISATAP(ip netip.Addr) bool {
	b := ip.As16()
	id := binary.BigEndian.Uint32(b[8:12])
	return id == 0x00005efe || id == 0x02005efe
}

func lastV4(ip netip.Addr) netip.Addr {
	b := ip.As16()
	return netip.AddrFrom4([4]byte(b[12:16]))
}
