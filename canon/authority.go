package canon

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Authority is a canonical host and a port.
type Authority struct {
	Host Host
	Port uint16
}

// ParseAuthority reads host[:port]; defaultPort 0 makes the port mandatory.
// IPv6 must be in brackets; userinfo, an empty port and a port in any form but
// plain decimal are malformed. Errors wrap ErrMalformed or ErrIPForm.
func ParseAuthority(s string, defaultPort uint16) (Authority, error) {
	hostText, portText, hasPort := s, "", false
	if i := strings.LastIndexByte(s, ':'); i >= 0 && i > strings.LastIndexByte(s, ']') {
		hostText, portText, hasPort = s[:i], s[i+1:], true
	}
	if strings.Contains(hostText, ":") && !strings.HasPrefix(hostText, "[") {
		return Authority{}, fmt.Errorf("authority %q: put an IPv6 address in brackets: %w", clip(s), ErrMalformed)
	}
	host, err := ParseHost(hostText)
	if err != nil {
		return Authority{}, err
	}
	port := defaultPort
	if hasPort {
		n, err := strconv.ParseUint(portText, 10, 16)
		if err != nil || portText[0] < '1' || portText[0] > '9' {
			return Authority{}, fmt.Errorf("authority %q: the port is no number from 1 to 65535: %w", clip(s), ErrMalformed)
		}
		port = uint16(n)
	}
	if port == 0 {
		return Authority{}, fmt.Errorf("authority %q: the port is missing: %w", clip(s), ErrMalformed)
	}
	return Authority{Host: host, Port: port}, nil
}

// String is host:port, IPv6 in brackets.
func (a Authority) String() string {
	return net.JoinHostPort(a.Host.name, strconv.Itoa(int(a.Port)))
}
