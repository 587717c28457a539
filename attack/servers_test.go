package attack_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/claude-bottle/claude-bottle/internal/sshdtest"
)

// nameServer answers every name below attack.test with the world's address. A
// question for a name that no route allows is a leak.
type nameServer struct {
	address, port string
	world         *world
}

// allowedNames are all that the bundle may ever ask for.
var allowedNames = []string{
	"origin.attack.test", "paths.attack.test", "auth.attack.test", "inside.attack.test", "pictures.wild.attack.test",
}

func startNameServer(t *testing.T, w *world) *nameServer {
	t.Helper()
	port := "0"
	var s *nameServer
	// A server for all addresses would answer from another one than was asked.
	for _, address := range append([]string{w.address}, addresses(t)...) {
		conn, err := net.ListenPacket("udp", net.JoinHostPort(address, port))
		if s != nil && err != nil {
			continue // the first one again, or taken
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if s == nil {
			port = fmt.Sprint(conn.LocalAddr().(*net.UDPAddr).Port)
			s = &nameServer{net.JoinHostPort(address, port), port, w}
		}
		go s.serve(conn)
	}
	return s
}

func (s *nameServer) serve(conn net.PacketConn) {
	packet := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(packet)
		if err != nil {
			return
		}
		var message dnsmessage.Message
		if err := message.Unpack(packet[:n]); err != nil {
			s.world.leak("a packet to the name server that is no question: %v", err)
			continue
		}
		message.Response, message.Additionals = true, nil
		for _, q := range message.Questions {
			name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
			if !slices.Contains(allowedNames, name) {
				s.world.leak("a question for %s to the name server", name)
			}
			if q.Type == dnsmessage.TypeA {
				message.Answers = append(message.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(s.world.address).As4()},
				})
			}
		}
		if answer, err := message.Pack(); err == nil {
			conn.WriteTo(answer, from)
		}
	}
}

// upstream is a bare repository behind a real sshd that writes down what each
// git-receive-pack is told.
type upstream struct {
	url, identity, hostKey string
	repository, told       string
	main                   string // what refs/heads/main must stay
}

// receiver is what the key may run: what was asked for, with a copy of what a
// git-receive-pack reads.
const receiver = `#!/bin/sh
case $SSH_ORIGINAL_COMMAND in
git-receive-pack*) tee "$(mktemp %s/XXXXXX)" | sh -c "$SSH_ORIGINAL_COMMAND" ;;
*) exec sh -c "$SSH_ORIGINAL_COMMAND" ;;
esac
`

func startUpstream(t *testing.T, address string) *upstream {
	t.Helper()
	sshd := sshdtest.Start(t)
	dir := t.TempDir()
	u := &upstream{identity: sshd.Identity, hostKey: sshd.HostKey, repository: filepath.Join(dir, "widgets.git"), told: filepath.Join(dir, "told")}
	seed := filepath.Join(dir, "seed")
	for _, args := range [][]string{
		{"init", "-q", "-b", "main", seed},
		{"-C", seed, "-c", "user.name=seed", "-c", "user.email=seed@attack.test", "commit", "-q", "--allow-empty", "-m", "first"},
		{"clone", "-q", "--bare", seed, u.repository},
	} {
		cmd := exec.Command("git", args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		output(t, cmd)
	}
	u.main = u.refs()["refs/heads/main"]

	script := filepath.Join(dir, "receiver")
	keys := filepath.Join(filepath.Dir(sshd.Identity), "authorized_keys")
	key, err := os.ReadFile(keys)
	if err := errors.Join(err,
		os.Mkdir(u.told, 0o700),
		os.WriteFile(script, fmt.Appendf(nil, receiver, u.told), 0o700),
		os.WriteFile(keys, fmt.Appendf(nil, "command=%q %s", script, key), 0o600),
	); err != nil {
		t.Fatal(err)
	}

	port := sshd.Port
	if address != "127.0.0.1" {
		port = relay(t, address, sshd.Port)
		_, rest, _ := strings.Cut(sshd.HostKey, " ")
		u.hostKey = fmt.Sprintf("[%s]:%d %s", address, port, rest)
	}
	u.url = fmt.Sprintf("ssh://%s@%s:%d%s", sshd.User, address, port, u.repository)
	return u
}

// relay makes a port of this machine's loopback reachable at another address.
func relay(t *testing.T, address string, port int) int {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				from.Close()
				continue
			}
			go func() { io.Copy(to, from); to.(*net.TCPConn).CloseWrite() }()
			go func() { io.Copy(from, to); from.Close(); to.Close() }()
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

// refs are the repository's references by name.
func (u *upstream) refs() map[string]string {
	found := map[string]string{}
	out, err := exec.Command("git", "-C", u.repository, "for-each-ref", "--format=%(refname) %(objectname)").Output()
	if err != nil {
		return found
	}
	for line := range strings.Lines(string(out)) {
		name, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		found[name] = id
	}
	return found
}

func (u *upstream) has(branch string) bool {
	_, ok := u.refs()["refs/heads/"+branch]
	return ok
}

// leaks tells what the upstream was told of attacks since the last time: no
// git-receive-pack may ever hear of a push that is refused.
func (u *upstream) leaks() []string {
	var leaks []string
	logs, err := filepath.Glob(filepath.Join(u.told, "*"))
	if err != nil {
		return []string{err.Error()}
	}
	for _, path := range logs {
		told, err := os.ReadFile(path)
		if err != nil {
			leaks = append(leaks, err.Error())
		}
		if name, rest, ok := strings.Cut(string(told), "attack/"); ok {
			rest, _, _ = strings.Cut(rest, "\x00")
			leaks = append(leaks, fmt.Sprintf("git-receive-pack was told of attack/%s after %d bytes", rest, len(name)))
		}
		os.Remove(path)
	}
	refs := u.refs()
	if refs["refs/heads/main"] != u.main {
		leaks = append(leaks, "the upstream's main was changed")
	}
	for name := range refs {
		if strings.Contains(name, "attack/") {
			leaks = append(leaks, "the upstream has "+name)
			exec.Command("git", "-C", u.repository, "update-ref", "-d", name).Run()
		}
	}
	return leaks
}
