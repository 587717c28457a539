package canon_test

import (
	"net/netip"
	"testing"

	"github.com/claude-bottle/claude-bottle/canon"
)

func TestGlobalUnicast(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "140.82.121.4": true, "192.0.1.1": true, "192.88.98.1": true,
		"172.15.255.255": true, "172.32.0.0": true, "100.63.255.255": true, "100.128.0.0": true,
		"223.255.255.255": true, "168.63.129.15": true,
		"2606:4700::1111": true, "2a00:1450:4001::1": true, "2620:4f:8001::1": true,
		"::ffff:8.8.8.8": true, "64:ff9b::8.8.8.8": true, "2a00::5efe:8.8.8.8": true,

		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "100.64.0.1": false,
		"127.0.0.1": false, "127.255.255.255": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.0.0.9": false, "192.0.2.1": false, "192.31.196.1": false, "192.52.193.1": false,
		"192.88.99.1": false, "192.168.1.1": false, "192.175.48.1": false, "198.18.0.1": false,
		"198.19.255.255": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false,
		"239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,
		// Clouds' metadata.
		"169.254.169.254": false, "169.254.170.2": false, "100.100.100.200": false,
		"168.63.129.16": false, "192.0.0.192": false, "fd00:ec2::254": false, "fd20:ce::254": false,

		"::": false, "::1": false, "::8.8.8.8": false, "::127.0.0.1": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::ffff:0:8.8.8.8": false,
		"64:ff9b::127.0.0.1": false, "64:ff9b::169.254.169.254": false, "64:ff9b:1::8.8.8.8": false,
		"100::1": false, "100:0:0:1::1": false, "2001::1": false, "2001:0:4136:e378::1": false,
		"2001:20::1": false, "2001:db8::1": false, "2002:7f00:1::": false, "2002:808:808::1": false,
		"2620:4f:8000::1": false, "3fff::1": false, "5f00::1": false, "fc00::1": false,
		"fe80::1": false, "fec0::1": false, "ff02::1": false, "4000::1": false,
		"2a00::5efe:10.0.0.1": false, "2a00::200:5efe:127.0.0.1": false,
		"2a00::1%eth0": false,
	} {
		if got := canon.GlobalUnicast(netip.MustParseAddr(text)); got != want {
			t.Errorf("GlobalUnicast(%s) = %v", text, got)
		}
	}
	if canon.GlobalUnicast(netip.Addr{}) {
		t.Error("the zero address is global")
	}
}
