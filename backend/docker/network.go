package docker

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
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

// makeInner makes the network that agent and bundle share. The host has no
// address on it, so that it has no gateway to reach.
func (b *Backend) makeInner(ctx context.Context, api *client.Client, slug string) (wire, error) {
	return makeNetwork(ctx, api, innerNetwork(slug), client.NetworkCreateOptions{
		Internal: true, Options: innerOptions(api.ClientVersion()), Labels: networkLabels(b.options.Home, slug, partInner),
	})
}

func innerOptions(version string) map[string]string {
	if atLeast(version, isolatedAPI) {
		return map[string]string{"com.docker.network.bridge.gateway_mode_ipv4": "isolated"}
	}
	return map[string]string{"com.docker.network.bridge.inhibit_ipv4": "true"}
}

// makeOuter makes the network through which the bundle alone goes out.
func (b *Backend) makeOuter(ctx context.Context, api *client.Client, slug string) (wire, error) {
	return makeNetwork(ctx, api, outerNetwork(slug), client.NetworkCreateOptions{Labels: networkLabels(b.options.Home, slug, partOuter)})
}

func makeNetwork(ctx context.Context, api *client.Client, name string, options client.NetworkCreateOptions) (wire, error) {
	if err := nameIsFree(ctx, api, name); err != nil {
		return wire{}, err
	}
	no := false
	options.Driver, options.EnableIPv6 = "bridge", &no
	for try := range netTries {
		subnet := subnetOf(name, try)
		options.IPAM = &network.IPAM{Driver: "default", Config: []network.IPAMConfig{{Subnet: subnet}}}
		_, err := api.NetworkCreate(ctx, name, options)
		if err == nil {
			return wire{subnet}, nil
		}
		if !strings.Contains(err.Error(), "overlap") {
			return wire{}, explainNetwork(name, err)
		}
	}
	return wire{}, fmt.Errorf("network %s: no free part of %s was found; end some bottles, or remove what is left of them with `bottle cleanup`", name, netRange)
}

// nameIsFree is an error when a network has the name: engines before 25.0 make a
// second one of the same name.
func nameIsFree(ctx context.Context, api *client.Client, name string) error {
	networks, err := api.NetworkList(ctx, client.NetworkListOptions{Filters: client.Filters{}.Add("name", name)})
	if err != nil {
		return fmt.Errorf("network %s: %w", name, err)
	}
	for _, n := range networks.Items {
		if n.Name == name { // the filter takes parts of names as well
			return explainNetwork(name, errors.New("network "+name+" already exists"))
		}
	}
	return nil
}

func explainNetwork(name string, err error) error {
	if errdefs.IsConflict(err) || strings.Contains(err.Error(), "already exists") {
		return fmt.Errorf("a network %s exists already; `bottle cleanup` removes what a dead bottle left, or choose another label: %w", name, err)
	}
	return fmt.Errorf("network %s: %w", name, err)
}
