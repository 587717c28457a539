//go:build linux

package main

import (
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// embeddedDNS is where container engines answer for names.
var embeddedDNS = netip.MustParseAddr("127.0.0.11")

// seal lets nothing leave this network namespace but TCP to the given
// addresses and ports, ADDRESS:PORT. An agent shares a wire with the machine's
// bridge: without this, broadcasts and multicasts would reach it, and the
// engine's resolver would answer. The agent has no right to undo it.
//
// What is stopped is told at once where the kernel can, so that no program
// waits for an answer.
func seal(open []string) error {
	if err := sealWith(open, &expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_HOST_UNREACH}); err == nil {
		return nil
	}
	return sealWith(open, &expr.Verdict{Kind: expr.VerdictDrop})
}

func sealWith(open []string, stop expr.Any) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("seal the network: %w", err)
	}
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "claude-bottle"})
	drop := nftables.ChainPolicyDrop
	chain := conn.AddChain(&nftables.Chain{
		Name: "output", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter, Policy: &drop,
	})
	add := func(verdict expr.Any, conditions ...expr.Any) {
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(conditions, verdict)})
	}
	accept := &expr.Verdict{Kind: expr.VerdictAccept}
	add(stop, toIPv4(embeddedDNS)...)
	add(accept, &expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, equal(append([]byte("lo"), make([]byte, unix.IFNAMSIZ-len("lo"))...)))
	for _, text := range open {
		to, err := netip.ParseAddrPort(text)
		if err != nil || !to.Addr().Is4() {
			return fmt.Errorf("seal the network: %q is no IPv4 address and port", text)
		}
		add(accept, append(toIPv4(to.Addr()), toTCP(to.Port())...)...)
	}
	add(stop)
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("seal the network, which needs the kernel's nf_tables: %w", err)
	}
	return nil
}

func equal(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

// toIPv4 matches IPv4 packets to an address.
func toIPv4(address netip.Addr) []expr.Any {
	const offset = 16 // of the destination in an IPv4 header
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal([]byte{unix.NFPROTO_IPV4}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}, equal(address.AsSlice()),
	}
}

func toTCP(port uint16) []expr.Any {
	const offset = 2 // of the destination in a TCP header
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{unix.IPPROTO_TCP}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2}, equal(binaryutil.BigEndian.PutUint16(port)),
	}
}
