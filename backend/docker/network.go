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

// Inner networks are small parts of the range for benchmarks (RFC 2544), which
// nobody routes and no site uses: a bottle takes none of the engine's few own
// ones for them, and hides nothing that its bundle may have to reach.
var innerRange = netip.MustParsePrefix("198.18.0.0/15")

const (
	innerBits = 28
	// innerTries bounds the search for a part that no other bottle has.
	innerTries = 64
)

// The places in an inner network, after its gateway, which nobody has.
const (
	bundlePlace = 2
	agentPlace  = 3
)

// inner is a bottle's inner network.
type inner struct{ subnet netip.Prefix }

func (n inner) at(place byte) netip.Addr {
	four := n.subnet.Addr().As4()
	four[3] += place
	return netip.AddrFrom4(four)
}

func (n inner) bundle() netip.Addr { return n.at(bundlePlace) }
func (n inner) agent() netip.Addr  { return n.at(agentPlace) }

// innerSubnet is the one to be tried as number try for a slug.
func innerSubnet(slug string, try int) netip.Prefix {
	sum := sha256.Sum256([]byte(slug))
	count := uint32(1) << (innerBits - innerRange.Bits())
	index := (binary.BigEndian.Uint32(sum[:]) + uint32(try)) % count
	base := innerRange.Addr().As4()
	binary.BigEndian.PutUint32(base[:], binary.BigEndian.Uint32(base[:])+index<<(32-innerBits))
	return netip.PrefixFrom(netip.AddrFrom4(base), innerBits)
}

// makeInner makes the network that agent and bundle share. The host has no
// address on it, so that it has no gateway to reach.
func (b *Backend) makeInner(ctx context.Context, api *client.Client, slug string) (inner, error) {
	options := map[string]string{"com.docker.network.bridge.inhibit_ipv4": "true"}
	if atLeast(api.ClientVersion(), isolatedAPI) {
		options = map[string]string{"com.docker.network.bridge.gateway_mode_ipv4": "isolated"}
	}
	no := false
	name := innerNetwork(slug)
	if err := nameIsFree(ctx, api, name); err != nil {
		return inner{}, err
	}
	for try := range innerTries {
		subnet := innerSubnet(slug, try)
		_, err := api.NetworkCreate(ctx, name, client.NetworkCreateOptions{
			Driver: "bridge", Internal: true, EnableIPv6: &no, Options: options,
			IPAM:   &network.IPAM{Driver: "default", Config: []network.IPAMConfig{{Subnet: subnet}}},
			Labels: networkLabels(b.options.Home, slug, partInner),
		})
		if err == nil {
			return inner{subnet}, nil
		}
		if !strings.Contains(err.Error(), "overlaps") {
			return inner{}, explainNetwork(name, err)
		}
	}
	return inner{}, fmt.Errorf("network %s: no part of %s is free; end some bottles, or remove what is left of them with `bottle cleanup`", name, innerRange)
}

// makeOuter makes the network through which the bundle alone goes out.
func (b *Backend) makeOuter(ctx context.Context, api *client.Client, slug string) error {
	no := false
	name := outerNetwork(slug)
	if err := nameIsFree(ctx, api, name); err != nil {
		return err
	}
	_, err := api.NetworkCreate(ctx, name, client.NetworkCreateOptions{
		Driver: "bridge", EnableIPv6: &no,
		Labels: networkLabels(b.options.Home, slug, partOuter),
	})
	if err != nil {
		return explainNetwork(name, err)
	}
	return nil
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
	switch text := err.Error(); {
	case errdefs.IsConflict(err) || strings.Contains(text, "already exists"):
		return fmt.Errorf("a network %s exists already; `bottle cleanup` removes what a dead bottle left, or choose another label: %w", name, err)
	case strings.Contains(text, "non-overlapping") || strings.Contains(text, "fully subnetted"):
		return fmt.Errorf("network %s: the engine has no free address pool left; end some bottles (`bottle ls`, `bottle cleanup`), remove unused networks (docker network prune), or give the engine more default-address-pools: %w", name, err)
	}
	return fmt.Errorf("network %s: %w", name, err)
}
