//go:build linux

package namespace_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/backend/namespace"
	"github.com/claude-bottle/claude-bottle/state"
)

// playPeer is another process of the operator's user that has a command run in
// the bottle "peer" of a home.
func playPeer(home string) {
	home, name, _ := strings.Cut(home, "|")
	ctx, b := context.Background(), namespace.New(namespace.Options{Home: state.Home(home)})
	bottle, err := b.Open(ctx, "peer")
	if err == nil {
		_, err = bottle.Exec(ctx, []string{"touch", name}, backend.Stdio{})
	}
	fmt.Println("peer:", err)
}

// Of this user's processes, only those of its own user namespace may use the
// control socket: an agent is the same user in another one.
func TestControlSocketRefusesOtherUserNamespaces(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "peer", sh("sleep 4242")...)
	start(t, home, p, backend.Stdio{})
	ask := func(name string, attributes *syscall.SysProcAttr) string {
		cmd := exec.Command(self(t))
		cmd.Env = append(os.Environ(), "TEST_PEER="+string(home)+"|"+name)
		cmd.SysProcAttr = attributes
		said, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(said), "peer: ") {
			t.Fatalf("%v: %s", err, said)
		}
		return string(said)
	}
	ids := func(id int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: id, HostID: id, Size: 1}}
	}
	if said := ask("control", nil); said != "peer: <nil>\n" {
		t.Errorf("control: %s", said)
	}
	if _, err := os.Stat(filepath.Join(p.Workspace, "control")); err != nil {
		t.Errorf("control: %v", err)
	}
	said := ask("touched", &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: ids(os.Geteuid()), GidMappings: ids(os.Getegid())})
	if said == "peer: <nil>\n" {
		t.Errorf("it was answered: %s", said)
	}
	if _, err := os.Stat(filepath.Join(p.Workspace, "touched")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the command ran: %v", err)
	}
}

// The bundle's health is for the operator alone.
func TestSocketsAreClosedToOthers(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "sockets", sh("sleep 4242")...)
	start(t, home, p, backend.Stdio{})
	for _, name := range []string{"health.sock", "control.sock"} {
		path, err := p.State.Socket(name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
}
