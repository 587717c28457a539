package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/claude-bottle/claude-bottle/canon"
)

const (
	lookupTimeout = 10 * time.Second
	dialTimeout   = 20 * time.Second
	// triesTimeout bounds the try of one address when there are others.
	triesTimeout = 5 * time.Second
)

// addressError says that a name leads where it must not.
type addressError struct {
	host canon.Host
	ip   netip.Addr
}

func (e *addressError) Error() string {
	return fmt.Sprintf("%s resolves to %s, which is not on the public internet", e.host, e.ip)
}

// dialError says that nothing was sent, because no connection came about.
type dialError struct{ error }

func (e *dialError) Unwrap() error { return e.error }

// permitted reports whether an origin may have the address.
func permitted(ip netip.Addr, networks []netip.Prefix) bool {
	ip = ip.Unmap()
	if canon.GlobalUnicast(ip) {
		return true
	}
	for _, network := range networks {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}

// resolve returns the addresses of a host that was allowed. One that is not
// permitted refuses them all.
func (r *Role) resolve(ctx context.Context, host canon.Host, networks []netip.Prefix) ([]netip.Addr, error) {
	ips := []netip.Addr{}
	if ip, literal := host.IP(); literal {
		ips = append(ips, ip)
	} else {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		var err error
		if ips, err = r.lookup(ctx, absolute(host.String())); err != nil {
			return nil, &dialError{err}
		}
	}
	for _, ip := range ips {
		if !permitted(ip, networks) {
			return nil, &addressError{host, ip.Unmap()}
		}
	}
	if len(ips) == 0 {
		return nil, &dialError{errors.New("the name has no address")}
	}
	return ips, nil
}

// absolute adds the final dot that keeps the resolver from trying its search
// domains. A name of one label, such as localhost, stays as /etc/hosts has it.
func absolute(name string) string {
	if strings.Contains(name, ".") {
		return name + "."
	}
	return name
}

// dialer dials authorities that were allowed: each name is resolved once, and
// what was checked is what is dialled.
func (r *Role) dialer(networks []netip.Prefix) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		a, err := canon.ParseAuthority(address, 0)
		if err != nil {
			return nil, &dialError{err}
		}
		ips, err := r.resolve(ctx, a.Host, networks)
		if err != nil {
			return nil, err
		}
		if r.NextHop != nil {
			return r.connectThrough(ctx, a)
		}
		return r.dialFirst(ctx, ips, a.Port)
	}
}

// dialFirst tries the addresses in order.
func (r *Role) dialFirst(ctx context.Context, ips []netip.Addr, port uint16) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var failed error
	for i, ip := range ips {
		conn, err := r.try(ctx, netip.AddrPortFrom(ip.Unmap(), port), i == len(ips)-1)
		if err == nil {
			return conn, nil
		}
		failed = err
	}
	return nil, &dialError{failed}
}

// try dials one address; all but the last leave time for the next.
func (r *Role) try(ctx context.Context, address netip.AddrPort, last bool) (net.Conn, error) {
	if !last {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, triesTimeout)
		defer cancel()
	}
	return r.dial(ctx, "tcp", address.String())
}
