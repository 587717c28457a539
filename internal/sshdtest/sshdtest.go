// Package sshdtest runs a real OpenSSH server for tests.
package sshdtest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// Server is a running sshd.
type Server struct {
	// User may log in with the key in the file Identity.
	User, Identity string
	// Port on 127.0.0.1.
	Port int
	// HostKey is a line of a known_hosts file.
	HostKey string

	cmd  *exec.Cmd
	stop sync.Once
}

// Stop ends the server and every session on it.
func (s *Server) Stop() {
	s.stop.Do(func() {
		// Sessions are in process groups of their own.
		for _, pid := range descendants(s.cmd.Process.Pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		_ = s.cmd.Wait()
	})
}

// descendants are a process, its children, theirs, and so on.
func descendants(pid int) []int {
	all := []int{pid}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, field := range strings.Fields(string(children)) {
		if child, err := strconv.Atoi(field); err == nil {
			all = append(all, descendants(child)...)
		}
	}
	return all
}

// URL is the ssh:// URL of a path on this machine.
func (s *Server) URL(path string) string {
	return fmt.Sprintf("ssh://%s@127.0.0.1:%d%s", s.User, s.Port, path)
}

// Start runs sshd on a free port until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	dir := t.TempDir()
	hostKey, hostPublic := writeKey(t, dir, "host")
	identity, public := writeKey(t, dir, "identity")
	write(t, filepath.Join(dir, "authorized_keys"), ssh.MarshalAuthorizedKey(public))
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{User: me.Username, Identity: identity, Port: freePort(t)}
	s.HostKey = fmt.Sprintf("[127.0.0.1]:%d %s", s.Port, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(hostPublic))))
	config := filepath.Join(dir, "sshd_config")
	write(t, config, fmt.Appendf(nil, `ListenAddress 127.0.0.1:%d
HostKey %s
AuthorizedKeysFile %s/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
AcceptEnv GIT_PROTOCOL
PidFile none
`, s.Port, hostKey, dir))
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // sshd's own empty folder
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", config)
	var log bytes.Buffer
	cmd.Stderr = &log
	cmd.WaitDelay = time.Second // a session may still hold the log
	s.cmd = cmd
	if err := cmd.Start(); err != nil {
		t.Fatalf("sshd: %v (install openssh-server)", err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("sshd: %s", log.String())
		}
	})
	for range 200 {
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port)); err == nil {
			conn.Close()
			return s
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("sshd does not answer")
	return nil
}

func writeKey(t testing.TB, dir, name string) (path string, public ssh.PublicKey) {
	t.Helper()
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, name)
	if err != nil {
		t.Fatal(err)
	}
	if public, err = ssh.NewPublicKey(pub); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, name)
	write(t, path, pem.EncodeToMemory(block))
	return path, public
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
