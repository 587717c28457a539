package gitgate

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/internal/sshdtest"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// gate is a running role before a real repository behind a real sshd.
type gate struct {
	role     *Role
	sshd     *sshdtest.Server
	log      *audit.Log
	queue    string // folder of the proposal queue
	url      string // of the repository, through the gate
	upstream string // folder of the bare repository
	audit    string
	base     string // http://host:port
}

const (
	secret      = "correct-horse-battery-staple"
	shortSecret = "hunter2-of-the-north" // as long as an object's id
)

func startGate(t *testing.T, change func(*sshdtest.Server)) *gate {
	t.Helper()
	return startGateWith(t, "", change, nil)
}

// startGateWith adds rules, lines of yaml, to the repository's and lets settings
// be changed.
func startGateWith(t *testing.T, rules string, change func(*sshdtest.Server), set func(*Config)) *gate {
	t.Helper()
	sshd := sshdtest.Start(t)
	if change != nil {
		change(sshd)
	}
	dir := t.TempDir()
	g := &gate{upstream: filepath.Join(dir, "widgets.git"), queue: filepath.Join(dir, "queue"), audit: filepath.Join(dir, "audit", "bundle.jsonl")}
	if err := os.CopyFS(g.upstream, os.DirFS(template(t))); err != nil {
		t.Fatal(err)
	}

	config := filepath.Join(dir, "config.yaml")
	content := fmt.Sprintf("repos:\n  widgets:\n    url: %s\n    identity: %s\n    host_key: %q\n%s", sshd.URL(g.upstream), sshd.Identity, sshd.HostKey, indent(rules))
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	scanner, err := scannerOnce()
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(g.audit, audit.Options{Slug: "test", Redact: scanner.Redact})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	settings := Config{
		Listeners: []net.Listener{listener}, ConfigPath: config, Scanner: scanner, Audit: log,
		Slug: "test", Queue: g.queue, SpoolDir: t.TempDir(), Hold: 50 * time.Millisecond,
	}
	if set != nil {
		set(&settings)
	}
	role, err := New(settings)
	if err != nil {
		t.Fatal(err)
	}
	g.role, g.sshd, g.log = role, sshd, log
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { role.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
		log.Close()
	})
	g.base = "http://" + listener.Addr().String()
	g.url = g.base + "/widgets.git"
	return g
}

// TestMain removes what template makes, or makes the process a gate.
func TestMain(m *testing.M) {
	if settings := os.Getenv(childEnv); settings != "" {
		if err := beChild(settings); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	code := m.Run()
	if dir, err := templateOnce(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

var scannerOnce = sync.OnceValues(func() (*secretscan.Scanner, error) {
	return secretscan.New([]string{secret, shortSecret})
})

// template is the folder of a bare repository with some commits.
func template(t *testing.T) string {
	t.Helper()
	dir, err := templateOnce()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "bare")
}

var templateOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gitgate-test-")
	if err != nil {
		return "", err
	}
	script := exec.Command("sh", "-ec", `
		git init -q -b main seed
		cd seed
		for i in 0 1 2 3 4; do git commit -q --allow-empty -m "commit $i"; done
		echo widgets > README
		git add README
		git commit -q -m "a file"
		git clone -q --bare . ../bare
		cd ../bare
		git config uploadpack.allowFilter true
		git config uploadpack.allowAnySHA1InWant true
		git config gc.auto 0`)
	script.Dir, script.Env = dir, environment(dir)
	if out, err := script.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

// environment is that of git, without the machine's own settings.
func environment(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
	}
}

// indent makes lines part of the repository's rules.
func indent(lines string) string {
	var out strings.Builder
	for line := range strings.Lines(lines) {
		out.WriteString("    " + line)
	}
	return out.String()
}

// git runs the real client and fails the test when it fails.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := tryGit(t, dir, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func tryGit(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = environment("/nonexistent")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestFetchIsRelayed(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	for _, version := range []string{"0", "1", "2"} {
		t.Run("protocol "+version, func(t *testing.T) {
			clone := func(name string, args ...string) string {
				dir := filepath.Join(t.TempDir(), name)
				git(t, "", append([]string{"-c", "protocol.version=" + version, "clone", "-q"}, append(args, g.url, dir)...)...)
				return dir
			}
			count := func(dir string) string { return strings.TrimSpace(git(t, dir, "rev-list", "--count", "HEAD")) }

			whole := clone("whole")
			if got := count(whole); got < "6" {
				t.Errorf("clone has %s commits", got)
			}
			shallow := clone("shallow", "--depth=2")
			if got := count(shallow); got != "2" {
				t.Errorf("shallow clone has %s commits", got)
			}
			git(t, shallow, "-c", "protocol.version="+version, "fetch", "-q", "--deepen=1")
			if got := count(shallow); got != "3" {
				t.Errorf("deepened clone has %s commits", got)
			}
			partial := clone("partial", "--filter=blob:none", "--no-checkout")
			if out := git(t, partial, "rev-list", "--objects", "--all", "--missing=print"); !strings.Contains(out, "?") {
				t.Error("a partial clone has every object")
			}
			head := strings.TrimSpace(git(t, g.upstream, "rev-parse", "HEAD~3"))
			empty := t.TempDir()
			git(t, "", "init", "-q", empty)
			git(t, empty, "-c", "protocol.version="+version, "fetch", "-q", g.url, head)

			// Fresh: what the upstream gets is there at once.
			tree := strings.TrimSpace(git(t, g.upstream, "rev-parse", "HEAD^{tree}"))
			next := strings.TrimSpace(git(t, g.upstream, "commit-tree", tree, "-p", "HEAD", "-m", "next"))
			git(t, g.upstream, "update-ref", "HEAD", next)
			git(t, whole, "-c", "protocol.version="+version, "fetch", "-q")
			if got := strings.TrimSpace(git(t, whole, "rev-parse", "origin/main")); got != next {
				t.Errorf("fetched %s, the upstream has %s", got, next)
			}
		})
	}
}

func TestFetchTenAtOnce(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	var clones sync.WaitGroup
	for range 10 {
		dir := filepath.Join(t.TempDir(), "clone")
		clones.Go(func() {
			if out, err := tryGit(t, "", "clone", "-q", g.url, dir); err != nil {
				t.Errorf("clone: %v: %s", err, out)
			}
		})
	}
	clones.Wait()
}

func TestRefusesWithWords(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, "", "clone", "-q", g.url, clone) // the positive control
	for _, name := range []string{"other.git", "..%2fwidgets.git", "widgets.git.git", "%2e%2e"} {
		if out, err := tryGit(t, "", "ls-remote", g.base+"/"+name); err == nil {
			t.Errorf("%s was served: %s", name, out)
		}
	}
	response, err := http.Get(g.base + "/widgets.git/HEAD")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "git-gate: refused: path") {
		t.Errorf("the dumb protocol: %s %s", response.Status, body)
	}
	if report, err := audit.Verify(g.audit); err != nil || report.Broken != nil || report.Records == 0 {
		t.Errorf("audit: %+v %v", report, err)
	}
}

func TestSecretInFetchRequestStaysHere(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	post := func(agent string) (int, string) {
		capabilities := "0014command=ls-refs\n" + fmt.Sprintf("%04xagent=%s", len("agent=")+len(agent)+4, agent) + "00010000"
		request, err := http.NewRequest(http.MethodPost, g.url+"/git-upload-pack", strings.NewReader(capabilities))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Git-Protocol", "version=2")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(body)
	}
	if status, body := post("git/2.39.5"); status != http.StatusOK || !strings.Contains(body, "refs/heads/main") {
		t.Errorf("a clean request: %d %q", status, body)
	}
	if status, body := post("git/" + secret); status != http.StatusForbidden || strings.Contains(body, secret) {
		t.Errorf("a request with a secret: %d %q", status, body)
	}
}

func TestChangedHostKey(t *testing.T) {
	t.Parallel()
	other := sshdtest.Start(t)
	g := startGate(t, func(s *sshdtest.Server) {
		_, key, _ := strings.Cut(other.HostKey, " ")
		s.HostKey = fmt.Sprintf("[127.0.0.1]:%d %s", s.Port, key)
	})
	if out, err := tryGit(t, "", "clone", "-q", g.url, filepath.Join(t.TempDir(), "c")); err == nil || !strings.Contains(out, "host key") {
		t.Errorf("clone: %v: %s", err, out)
	}
}

func TestUnreadableIdentity(t *testing.T) {
	t.Parallel()
	g := startGate(t, func(s *sshdtest.Server) { s.Identity += "-missing" })
	if out, err := tryGit(t, "", "clone", "-q", g.url, filepath.Join(t.TempDir(), "c")); err == nil || !strings.Contains(out, "identity") {
		t.Errorf("clone: %v: %s", err, out)
	}
}
