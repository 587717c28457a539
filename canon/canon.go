// Package canon turns authorities and paths into their one normal form.
//
// Hosts and paths are compared nowhere before they went through this package,
// and what was compared is what is dialled and forwarded.
package canon

import (
	"errors"
	"net/netip"
)

var (
	// ErrMalformed says that the text is no authority or path at all.
	ErrMalformed = errors.New("malformed")
	// ErrIPForm says that the host is an IP address in a form other than the
	// one net/netip writes (decimal, hexadecimal, octal, short, IPv4-mapped).
	ErrIPForm = errors.New("unusual form of an IP address")
	// ErrPath says that the path holds an encoded slash, backslash or NUL, a
	// ';' parameter, or climbs above the root.
	ErrPath = errors.New("ambiguous path")
)

// Host is a canonical host name or IP literal. The zero Host is no host.
// Two hosts are the same exactly when == says so.
type Host struct {
	name string
	ip   netip.Addr
}

// Authority is a canonical host and a port.
type Authority struct {
	Host Host
	Port uint16
}

// Path is a canonical absolute path, without query.
type Path string
