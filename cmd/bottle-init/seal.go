//go:build linux

package main

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// embeddedDNS is where container engines answer for names.
var embeddedDNS = netip.MustParseAddr("127.0.0.11")

// table is what the rules are in, in either seal.
const table = "claude-bottle"

// seal lets nothing leave this network namespace but TCP to the given
// addresses and ports, ADDRESS:PORT. An agent shares a wire with the machine's
// bridge: without this, broadcasts and multicasts would reach it, and the
// engine's resolver would answer. The agent has no right to undo it.
//
// What is stopped is told at once where the kernel can, so that no program
// waits for an answer.
func seal(open []string) error {
	doors, err := parseDoors(open)
	if err != nil {
		return err
	}
	if err := sealStack(doors, &expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_HOST_UNREACH}); err == nil {
		return nil
	}
	return sealStack(doors, drop)
}

func sealStack(doors []netip.AddrPort, stop expr.Any) error {
	rules, err := newRules(nftables.TableFamilyINet)
	if err != nil {
		return err
	}
	rules.chain(&nftables.Chain{Name: "output", Hooknum: nftables.ChainHookOutput})
	rules.add(stop, toIPv4(embeddedDNS)...)
	rules.add(accept, &expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, equal(append([]byte("lo"), make([]byte, unix.IFNAMSIZ-len("lo"))...)))
	rules.open(doors)
	rules.add(stop)
	return rules.flush()
}

// sealWire does the same where the agent has a network stack of its own, whose
// packets pass none of the kernel's: on the wire, for what a stack puts there.
// Only the bundle's addresses are looked for, and what is stopped vanishes.
func sealWire(open []string) error {
	doors, err := parseDoors(open)
	if err != nil {
		return err
	}
	rules, err := newRules(nftables.TableFamilyNetdev)
	if err != nil {
		return err
	}
	devices, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("seal the network: %w", err)
	}
	for _, device := range devices {
		if device.Flags&net.FlagLoopback != 0 {
			continue
		}
		rules.chain(&nftables.Chain{Name: "output-" + device.Name, Hooknum: nftables.ChainHookEgress, Device: device.Name})
		for _, door := range doors {
			rules.add(accept, forARP(door.Addr())...)
		}
		rules.open(doors)
	}
	return rules.flush()
}

func parseDoors(open []string) ([]netip.AddrPort, error) {
	var doors []netip.AddrPort
	for _, text := range open {
		to, err := netip.ParseAddrPort(text)
		if err != nil || !to.Addr().Is4() {
			return nil, fmt.Errorf("seal the network: %q is no IPv4 address and port", text)
		}
		doors = append(doors, to)
	}
	return doors, nil
}

// rules are a table in the making.
type rules struct {
	conn  *nftables.Conn
	table *nftables.Table
	last  *nftables.Chain
}

func newRules(family nftables.TableFamily) (*rules, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("seal the network: %w", err)
	}
	return &rules{conn: conn, table: conn.AddTable(&nftables.Table{Family: family, Name: table})}, nil
}

// chain begins a chain that lets nothing pass but what is added to it.
func (r *rules) chain(c *nftables.Chain) {
	nothing := nftables.ChainPolicyDrop
	c.Table, c.Type, c.Priority, c.Policy = r.table, nftables.ChainTypeFilter, nftables.ChainPriorityFilter, &nothing
	r.last = r.conn.AddChain(c)
}

func (r *rules) add(verdict expr.Any, conditions ...expr.Any) {
	r.conn.AddRule(&nftables.Rule{Table: r.table, Chain: r.last, Exprs: append(conditions, verdict)})
}

func (r *rules) open(doors []netip.AddrPort) {
	for _, door := range doors {
		r.add(accept, append(toIPv4(door.Addr()), toTCP(door.Port())...)...)
	}
}

func (r *rules) flush() error {
	if err := r.conn.Flush(); err != nil {
		return fmt.Errorf("seal the network, which needs the kernel's nf_tables: %w", err)
	}
	return nil
}

var (
	accept = &expr.Verdict{Kind: expr.VerdictAccept}
	drop   = &expr.Verdict{Kind: expr.VerdictDrop}
)

func equal(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

// isProtocol matches what Ethernet carries.
func isProtocol(number uint16) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1}, equal(binaryutil.BigEndian.PutUint16(number))}
}

// toIPv4 matches IPv4 packets to an address.
func toIPv4(address netip.Addr) []expr.Any {
	const offset = 16 // of the destination in an IPv4 header
	return append(isProtocol(unix.ETH_P_IP),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}, equal(address.AsSlice()))
}

// forARP matches what asks for an address, or answers it.
func forARP(address netip.Addr) []expr.Any {
	const offset = 24 // of the target's address in ARP for IPv4 on Ethernet
	return append(isProtocol(unix.ETH_P_ARP),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}, equal(address.AsSlice()))
}

// toTCP matches TCP to a port.
func toTCP(port uint16) []expr.Any {
	const offset = 2 // of the destination in a TCP header
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{unix.IPPROTO_TCP}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2}, equal(binaryutil.BigEndian.PutUint16(port)),
	}
}
