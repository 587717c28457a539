package docker

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// A bottle's networks are small parts of the range for benchmarks (RFC 2544),
// which nobody routes and no site uses: bottles take none of the engine's few
// own ones, and hide nothing that a bundle may have to reach.
var netRange = netip.MustParsePrefix("198.18.0.0/15")

const (
	netBits = 28
	// netTries bounds the search for a part that no other bottle has.
	netTries = 64
)

// wire is one of a bottle's networks.
type wire struct{ subnet netip.Prefix }

// at is a place in the network. The first one is its gateway's.
func (w wire) at(place byte) netip.Addr {
	four := w.subnet.Addr().As4()
	four[3] += place
	return netip.AddrFrom4(four)
}

// subnetOf is the one to be tried as number try for a network's name.
func subnetOf(name string, try int) netip.Prefix {
	sum := sha256.Sum256([]byte(name))
	count := uint32(1) << (netBits - netRange.Bits())
	index := (binary.BigEndian.Uint32(sum[:]) + uint32(try)) % count
	base := netRange.Addr().As4()
	binary.BigEndian.PutUint32(base[:], binary.BigEndian.Uint32(base[:])+index<<(32-netBits))
	return netip.PrefixFrom(netip.AddrFrom4(base), netBits)
}

// taken are the networks that an engine has.
type taken struct {
	names   map[string]bool
	subnets []netip.Prefix
}

func takenNetworks(ctx context.Context, api *client.Client) (taken, error) {
	networks, err := api.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return taken{}, fmt.Errorf("list networks: %w", err)
	}
	t := taken{names: make(map[string]bool)}
	for _, n := range networks.Items {
		t.names[n.Name] = true
		for _, pool := range n.IPAM.Config {
			if pool.Subnet.IsValid() {
				t.subnets = append(t.subnets, pool.Subnet)
			}
		}
	}
	return t, nil
}

// pick finds a part of the range for a network, and takes it. A name that is
// taken is an error: engines before 25.0 make a second network of the same name.
func (t *taken) pick(name string) (wire, error) {
	if t.names[name] {
		return wire{}, explainNetwork(name, errors.New("network "+name+" already exists"))
	}
	for try := range netTries {
		subnet := subnetOf(name, try)
		if !slices.ContainsFunc(t.subnets, subnet.Overlaps) {
			t.subnets = append(t.subnets, subnet)
			return wire{subnet}, nil
		}
	}
	return wire{}, fmt.Errorf("network %s: no free part of %s was found; end some bottles, or remove what is left of them with `bottle cleanup`", name, netRange)
}

// makeInner makes the network that agent and bundle share. The host has no
// address on it, so that it has no gateway to reach.
func (s *start) makeInner(ctx context.Context) error {
	return s.makeNetwork(ctx, innerNetwork(s.plan.Slug), s.layout.inner, client.NetworkCreateOptions{
		Internal: true, Options: innerOptions(s.api.ClientVersion()), Labels: networkLabels(s.backend.options.Home, s.plan.Slug, partInner),
	})
}

func innerOptions(version string) map[string]string {
	if atLeast(version, isolatedAPI) {
		return map[string]string{"com.docker.network.bridge.gateway_mode_ipv4": "isolated"}
	}
	return map[string]string{"com.docker.network.bridge.inhibit_ipv4": "true"}
}

// makeOuter makes the network through which the bundle alone goes out.
func (s *start) makeOuter(ctx context.Context) error {
	return s.makeNetwork(ctx, outerNetwork(s.plan.Slug), s.layout.outer, client.NetworkCreateOptions{
		Labels: networkLabels(s.backend.options.Home, s.plan.Slug, partOuter),
	})
}

// errOverlap says that a network's part of the range is somebody else's after
// all.
var errOverlap = errors.New("the addresses are taken")

func (s *start) makeNetwork(ctx context.Context, name string, at wire, options client.NetworkCreateOptions) error {
	no := false
	options.Driver, options.EnableIPv6 = "bridge", &no
	options.IPAM = &network.IPAM{Driver: "default", Config: []network.IPAMConfig{{Subnet: at.subnet}}}
	_, err := s.api.NetworkCreate(ctx, name, options)
	if err == nil {
		return nil
	}
	if strings.Contains(err.Error(), "overlap") {
		return fmt.Errorf("network %s: %w: %w", name, errOverlap, err)
	}
	return explainNetwork(name, err)
}

func explainNetwork(name string, err error) error {
	if errdefs.IsConflict(err) || strings.Contains(err.Error(), "already exists") {
		return fmt.Errorf("a network %s exists already; `bottle cleanup` removes what a dead bottle left, or choose another label: %w", name, err)
	}
	return fmt.Errorf("network %s: %w", name, err)
}
