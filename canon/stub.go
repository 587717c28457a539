package canon

import "net/netip"

// ParseHost returns the canonical form of a host without port: lower case,
// A-labels, no trailing dot; IPv6 with or without brackets.
// Errors wrap ErrMalformed or ErrIPForm.
func ParseHost(s string) (Host, error) { panic("stub") }

// String is the form that is dialled: IPv6 without brackets.
func (h Host) String() string { panic("stub") }

// IP returns the address of an IP literal.
func (h Host) IP() (netip.Addr, bool) { return h.ip, h.ip.IsValid() }

// ParseAuthority reads host[:port]; defaultPort 0 makes the port mandatory.
func ParseAuthority(s string, defaultPort uint16) (Authority, error) { panic("stub") }

// String is host:port, IPv6 in brackets.
func (a Authority) String() string { panic("stub") }

// ParsePath returns the canonical form of an escaped request path: dot
// segments and doubled slashes resolved, unreserved characters unescaped,
// other escapes in upper case. Errors wrap ErrPath or ErrMalformed.
func ParsePath(escaped string) (Path, error) { panic("stub") }

// Under reports whether p is rule or lies below it, by whole segments.
func (p Path) Under(rule Path) bool { panic("stub") }
