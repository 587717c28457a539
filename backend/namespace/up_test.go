//go:build linux

package namespace_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/backend/namespace"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

// upRequest is what playUp brings up.
type upRequest struct {
	Home state.Home
	Plan *plan.Plan
}

// playUp is a `bottle up` of its own process.
func playUp(text string) {
	var r upRequest
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		fatal(err)
	}
	r.Plan.AgentEnv = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/home/agent"}
	b := namespace.New(namespace.Options{Home: r.Home, Sidecars: exe, BundleEnv: []string{"TEST_BUNDLE=good"}})
	bottle, err := b.Start(context.Background(), r.Plan, backend.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, nil)
	if err != nil {
		fatal(err)
	}
	code, err := bottle.Wait(context.Background())
	if err != nil {
		fatal(err)
	}
	os.Exit(code)
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(99)
}

// up starts a `bottle up` whose agent says "running" and then does nothing.
func up(t *testing.T, home state.Home, p *plan.Plan) *exec.Cmd {
	t.Helper()
	request, err := json.Marshal(upRequest{home, p})
	if err != nil {
		t.Fatal(err)
	}
	var said buffer
	cmd := exec.Command(self(t))
	cmd.Env = append(os.Environ(), "TEST_UP="+string(request))
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	eventually(t, "the agent runs", func() bool { return strings.Contains(said.String(), "running") })
	return cmd
}

// openRoute is what a treacherous bundle does: it goes into the network of the
// bottle, which its first listener came from, and adds a way out. It needs root.
func openRoute() error {
	const firstListener = 3
	network, err := unix.IoctlRetInt(firstListener, unix.SIOCGSKNS)
	if err != nil {
		return fmt.Errorf("SIOCGSKNS: %w", err)
	}
	runtime.LockOSThread()
	if err := unix.Setns(network, unix.CLONE_NEWNET); err != nil {
		return err
	}
	return addDefaultRoute("lo")
}

// rtentry is struct rtentry of route(7) up to the device.
type rtentry struct {
	pad1                 uint64
	dst, gateway, mask   unix.RawSockaddrInet4
	flags                uint16
	pad2                 int16
	pad3                 uint64
	pad4                 uintptr
	metric               int16
	device               *byte
	mtu, window          uint64
	initialRoundTripTime uint16
}

func addDefaultRoute(device string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	name, err := syscall.BytePtrFromString(device)
	if err != nil {
		return err
	}
	route := rtentry{flags: unix.RTF_UP, device: name}
	route.dst.Family, route.gateway.Family, route.mask.Family = unix.AF_INET, unix.AF_INET, unix.AF_INET
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCADDRT, uintptr(unsafe.Pointer(&route)))
	if errno != 0 {
		return fmt.Errorf("SIOCADDRT: %w", errno)
	}
	return nil
}
