package main_test

import (
	"errors"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// gitHub is github.com with one repository that anybody may push to.
type gitHub struct {
	cgi.Handler
	bare string
	env  []string // of git

	mu   sync.Mutex
	seen []string
}

func newGitHub(t *testing.T) *gitHub {
	t.Helper()
	root := t.TempDir()
	f := &gitHub{bare: filepath.Join(root, "acme", "widgets.git")}
	f.env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		f.env = append(f.env, "GIT_"+who+"_NAME=a", "GIT_"+who+"_EMAIL=a@example.org")
	}
	seed := filepath.Join(root, "seed")
	for _, args := range [][]string{
		{"init", "-q", "-b", "main", seed},
		{"-C", seed, "commit", "-q", "--allow-empty", "-m", "first"},
		{"clone", "-q", "--bare", seed, f.bare},
		{"-C", f.bare, "config", "http.receivepack", "true"},
	} {
		f.git(t, args...)
	}
	f.Handler = cgi.Handler{
		Path: filepath.Join(f.git(t, "--exec-path"), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"},
	}
	return f
}

func (f *gitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.seen = append(f.seen, r.Method+" "+r.URL.Path)
	f.mu.Unlock()
	f.Handler.ServeHTTP(w, r)
}

// git is a git of the operator's machine.
func (f *gitHub) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Env = f.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// useGitHub reads, and then tries to write in every way that git and curl have.
const useGitHub = `
cd /tmp
git clone -q https://github.com/acme/widgets.git && echo cloned
cd widgets
git fetch -q --depth 1 origin main && echo fetched
git -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m second
git push origin HEAD:main || echo push refused
git bundle create -q b --all
for path in acme/widgets.git/git-receive-pack acme/widgets.git/info/lfs/objects/batch login/device/code session; do
	curl -sS -o /dev/null -w '%{http_code} ' --data-binary @b https://github.com/$path
done
curl -sS -o /dev/null -w '%{http_code}\n' -T b https://github.com/acme/widgets.git/HEAD
`

// TestGitHubPresetReads: a repository can be cloned and fetched, and nothing
// can be sent to it, though it would take it.
func TestGitHubPresetReads(t *testing.T) {
	forge := newGitHub(t)
	net := newInternet(t, map[string]http.Handler{"github.com": forge})
	home, workspace := t.TempDir(), t.TempDir()
	if err := errors.Join(
		os.Mkdir(filepath.Join(home, "bottles"), 0o700),
		os.WriteFile(filepath.Join(home, "bottles", "reader.md"), []byte("---\negress: {presets: [github]}\npipelock: off\nbackend: namespace\n---\n"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	up := exec.CommandContext(t.Context(), filepath.Join(programs, "bottle"), "up", "--bottle", "reader", "--label", "reader", "--", "sh", "-c", useGitHub)
	up.Dir = workspace
	up.Env = slices.Concat(os.Environ(), net.env(), []string{"CLAUDE_BOTTLE_HOME=" + home})
	out, err := up.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"cloned\n", "fetched\n", "push refused\n", "403 403 403 403 403\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for _, call := range forge.calls() {
		if !strings.HasPrefix(call, "GET ") && call != "POST /acme/widgets.git/git-upload-pack" {
			t.Errorf("the forge got %s", call)
		}
	}
	if got := forge.git(t, "-C", forge.bare, "log", "--format=%s", "main"); got != "first" {
		t.Errorf("the forge holds %q", got)
	}

	// Without the bottle the same push passes.
	clone := filepath.Join(t.TempDir(), "widgets")
	forge.env = append(forge.env, "https_proxy="+net.hop, "GIT_SSL_CAINFO="+net.caFile)
	forge.git(t, "clone", "-q", "https://github.com/acme/widgets.git", clone)
	forge.git(t, "-C", clone, "commit", "-q", "--allow-empty", "-m", "second")
	forge.git(t, "-C", clone, "push", "-q", "origin", "HEAD:main")
	if got := forge.git(t, "-C", forge.bare, "log", "--format=%s", "main"); got != "second\nfirst" {
		t.Errorf("the forge refuses pushes by itself: it holds %q", got)
	}
}

func (f *gitHub) calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.seen)
}
