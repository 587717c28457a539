// Package canon turns authorities and paths into their one normal form.
//
// Hosts and paths are compared nowhere before they went through this package,
// and what was compared is what is dialled and forwarded. Whatever two readers
// could understand differently is an error, never a guess.
package canon

import "errors"

var (
	// ErrMalformed says that the text is no authority or path at all.
	ErrMalformed = errors.New("malformed")
	// ErrIPForm says that the host is an IP address in a form other than the
	// one net/netip writes (decimal, hexadecimal, octal, short, IPv4-mapped,
	// with a zone, not compressed).
	ErrIPForm = errors.New("unusual form of an IP address")
	// ErrPath says that the path holds an encoded slash, backslash or control
	// character, a ';' parameter, or climbs above the root.
	ErrPath = errors.New("ambiguous path")
)
