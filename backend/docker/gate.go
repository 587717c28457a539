package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/containment"
)

// gateSignal opens bottle-init's gate.
const gateSignal = syscall.SIGUSR1

// embeddedDNS is where the engine's own resolver answers in a container.
const embeddedDNS = "127.0.0.11:53"

// createSeal makes the container that seals the agent's network: one that has
// the right to, for a moment, in the same network. The agent's need not be there
// yet.
func (s *start) createSeal(ctx context.Context) (id string, err error) {
	options := s.sealOptions()
	options.HostConfig.NetworkMode = container.NetworkMode("container:" + agentContainer(s.plan.Slug))
	created, err := s.api.ContainerCreate(ctx, options)
	if err != nil {
		return "", explainCreate(options.Name, err)
	}
	return created.ID, nil
}

// sealOptions are what the container is made of that seals the network it is in.
func (s *start) sealOptions() client.ContainerCreateOptions {
	how := "seal"
	if s.runtime == runsc {
		how = "seal-wire" // gVisor has a network stack of its own
	}
	return client.ContainerCreateOptions{
		Name: sealContainer(s.plan.Slug),
		Config: &container.Config{
			Image: s.backend.options.Image, User: "0:0",
			Entrypoint:  []string{initOutside},
			Cmd:         append([]string{how}, s.layout.doors()...),
			Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
			Labels:      ownLabels(s.backend.options.Home, s.plan.Slug, partSeal),
		},
		HostConfig: &container.HostConfig{
			ReadonlyRootfs: true,
			CapDrop:        []string{"ALL"},
			CapAdd:         []string{"NET_ADMIN"},
			SecurityOpt:    []string{"no-new-privileges"},
			LogConfig:      logConfig,
		},
	}
}

// seal closes the agent's network from inside but for the bundle's doors.
func (s *start) seal(ctx context.Context) error {
	ended := s.api.ContainerWait(ctx, s.sealer, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := s.api.ContainerStart(ctx, s.sealer, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("seal the agent's network: %w", err)
	}
	select {
	case result := <-ended.Result:
		if result.StatusCode != 0 {
			said, _ := logs(ctx, s.api, s.sealer, "5")
			return fmt.Errorf("seal the agent's network: %s", strings.TrimSpace(said))
		}
		return nil
	case err := <-ended.Error:
		return fmt.Errorf("seal the agent's network: %w", err)
	}
}

// prove runs the proof in the agent's container, as the agent, before its
// command. It also looks whether the command can be run at all.
func (s *start) prove(ctx context.Context, targets containment.Targets) error {
	targets = s.targets(targets)
	text, err := json.Marshal(targets)
	if err != nil {
		return err
	}
	var out, complaints bytes.Buffer
	argv := append([]string{initInside, "prove", string(text), "--"}, s.plan.Command...)
	code, err := inside(ctx, s.api, s.agent, client.ExecCreateOptions{Cmd: argv, WorkingDir: "/workspace"}, backend.Stdio{Out: &out, Err: &complaints}, nil)
	if err == nil && code != 0 {
		err = fmt.Errorf("it ended with code %d: %s", code, strings.TrimSpace(complaints.String()))
	}
	var told struct {
		Report  containment.Report
		Missing string
		Code    int
	}
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &told)
	}
	if err != nil {
		return fmt.Errorf("prove containment: %w", err)
	}
	if err := told.Report.Err(); err != nil {
		return err
	}
	if told.Missing != "" {
		return &backend.CommandError{Code: told.Code, Err: errors.New(told.Missing)}
	}
	return nil
}

// targets adds what only this backend has: the gateway's place, the engine's
// resolver, and the bundle's doors that are not the agent's.
func (s *start) targets(t containment.Targets) containment.Targets {
	gateway, doors := s.layout.inner.at(1), s.layout.doors()
	if len(doors) > 0 {
		t.Control = doors[0]
	}
	for _, port := range []uint16{22, 53, 80} {
		t.TCP = append(t.TCP, netip.AddrPortFrom(gateway, port).String())
	}
	datagrams := []netip.Addr{gateway, netip.MustParseAddr("127.0.0.11")}
	for _, service := range s.layout.services() {
		if service.outer.IsValid() {
			t.TCP = append(t.TCP, netip.AddrPortFrom(service.outer, 9099).String(), netip.AddrPortFrom(service.outer, 8888).String())
		}
		if service.inner.IsValid() {
			t.TCP = append(t.TCP, netip.AddrPortFrom(service.inner, 9101).String())
			datagrams = append(datagrams, service.inner)
		}
	}
	t.Silent = s.runtime == runsc
	t.TCP = append(t.TCP, embeddedDNS)
	for _, address := range datagrams {
		t.UDP = append(t.UDP, netip.AddrPortFrom(address, 53).String())
	}
	return t
}
