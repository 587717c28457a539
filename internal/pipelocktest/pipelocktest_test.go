package pipelocktest_test

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/internal/pipelocktest"
	"github.com/claude-bottle/claude-bottle/internal/pkitest"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/roles/pipelock/config"
)

// files writes a configuration and an authority.
func files(t *testing.T, keyType string) (yaml string) {
	t.Helper()
	dir := t.TempDir()
	ca, err := pkitest.New("test")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	table, err := routes.New([]routes.Route{{Host: "allowed.test"}})
	if err != nil {
		t.Fatal(err)
	}
	yaml = filepath.Join(dir, "pipelock.yaml")
	b, err := config.Render(table, config.Options{CACert: filepath.Join(dir, "ca.pem"), CAKey: filepath.Join(dir, "key.pem")})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"ca.pem": ca.CertPEM(), "key.pem": bytes.ReplaceAll(key, []byte("EC PRIVATE KEY"), []byte(keyType)), "pipelock.yaml": b,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return yaml
}

func TestCommandLine(t *testing.T) {
	standIn := pipelocktest.Build(t)
	good, otherKey := files(t, "EC PRIVATE KEY"), files(t, "PRIVATE KEY")
	unknown := filepath.Join(t.TempDir(), "pipelock.yaml")
	b, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(unknown, append(b, "nonsense: 1\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		ok   bool
		want string
	}{
		{[]string{"check", "--config", good}, true, "valid"},
		{[]string{"check", "--config", otherKey}, true, "valid"}, // like pipelock, it does not look
		{[]string{"run", "--config", otherKey, "--listen", "127.0.0.1:0"}, false, "EC PRIVATE KEY"},
		{[]string{"check", "--config", unknown}, false, "nonsense"},
		{[]string{"run", "--config", unknown}, false, "nonsense"},
		{[]string{"check", "--config", good + "-absent"}, false, "no such file"},
		{[]string{"walk"}, false, "usage"},
	} {
		out, err := exec.Command(standIn.Path, test.args...).CombinedOutput()
		if (err == nil) != test.ok || !strings.Contains(string(out), test.want) {
			t.Errorf("%v: %v, %s", test.args, err, out)
		}
	}
}

func TestSignals(t *testing.T) {
	standIn := pipelocktest.Build(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.Command(standIn.Path, "run", "--config", files(t, "EC PRIVATE KEY"), "--listen", address)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	killSwitch := func(want bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			response, err := http.Get("http://" + address + "/health")
			if err != nil {
				continue
			}
			var health struct {
				Status string `json:"status"`
				Active bool   `json:"kill_switch_active"`
			}
			err = json.NewDecoder(response.Body).Decode(&health)
			response.Body.Close()
			if err == nil && health.Status == "healthy" && health.Active == want {
				return
			}
		}
		t.Fatalf("the kill switch is not %v", want)
	}
	killSwitch(false)
	cmd.Process.Signal(syscall.SIGUSR1)
	killSwitch(true)
	cmd.Process.Signal(syscall.SIGUSR1)
	killSwitch(false)
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("SIGTERM: %v, want exit code 0", err)
	}
}
