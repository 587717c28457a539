//go:build linux

package docker

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/internal/commondir"
)

// The image holds the static programs, trusted roots and a user, and says which
// pipelock it accepts; it runs without a right to anything.
func TestImage(t *testing.T) {
	docker(t, "create", "--name", "claude-bottle-test-image", testImage)
	defer docker(t, "rm", "claude-bottle-test-image")
	export := exec.Command("docker", "export", "claude-bottle-test-image")
	stream, err := export.StdoutPipe()
	if err == nil {
		err = export.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	engineMade := []string{".dockerenv", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", "dev/console"}
	var files []string
	size := int64(0)
	for reader := tar.NewReader(stream); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag != tar.TypeDir && !slices.Contains(engineMade, header.Name) {
			files = append(files, header.Name)
			size += header.Size
		}
	}
	want := []string{"bottle-init", "etc/group", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "sidecars", "usr/local/bin/pipelock"}
	if slices.Sort(files); !slices.Equal(files, want) {
		t.Errorf("the image holds %v, want %v", files, want)
	}
	if most := int64(60 << 20); size > most {
		t.Errorf("%d bytes, at most %d", size, most)
	}
	pin := digest(t, standIn)
	if label := docker(t, "inspect", "-f", `{{index .Config.Labels "claude-bottle.pipelock.sha256"}}`, testImage); label != pin {
		t.Errorf("the label tells %s, not %s", label, pin)
	}
	said := docker(t, "run", "--rm", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none", testImage, "version")
	if said != "sidecars tested\npipelock sha256 "+pin {
		t.Errorf("version: %s", said)
	}
	_, shown := inspect(t, testImage)
	if test := words(dig(shown, "Config", "Healthcheck", "Test")); !slices.Equal(test, []string{"/sidecars", "CMD", "health"}) {
		t.Errorf("health check: %v", test)
	}
	if user := dig(shown, "Config", "User"); user != "65532:65532" {
		t.Errorf("user: %v", user)
	}
}

// A bottle's Dockerfile is built, and its image is what the agent gets: with
// the bottle's CA beside its own roots, and its users.
func TestDockerfile(t *testing.T) {
	home := newHome(t)
	bottleFile(t, home, strings.Replace(plainBottle, "---\n", "---\nagent:\n  dockerfile: build/Dockerfile\n", 1))
	folder := filepath.Join(home.Bottles(), "build")
	if err := errors.Join(
		os.Mkdir(folder, 0o700),
		os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte("FROM "+agentImage+"\nCOPY roots.pem /etc/ssl/certs/ca-certificates.crt\n"), 0o600),
		os.WriteFile(filepath.Join(folder, "roots.pem"), []byte("the image's own\n"), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	var out buffer
	bottle := begin(t, home, newPlan(t, home, "built", "sh", "-c", "head -2 $SSL_CERT_FILE; tail -1 $SSL_CERT_FILE; head -1 /etc/passwd"), backend.Stdio{Out: &out, Err: &out})
	if _, err := bottle.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "the image's own\n-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\nroot:x:0:0:root:/root:/bin/sh\n"
	if out.String() != want {
		t.Errorf("%q, want %q", &out, want)
	}
}

// The workspace's git hooks cannot be changed, nor replaced, nor led elsewhere;
// the rest of the repository can.
func TestHooksAreProtected(t *testing.T) {
	home := newHome(t)
	p := newPlan(t, home, "hooks", "sh", "-c", `
git config user.name agent && git config user.email agent@example.com && git commit -q --allow-empty -m work && echo worked
for attempt in 'touch .git/hooks/pre-commit' 'mv .git .gone' 'mv .git/hooks .git/gone' 'rm -rf .git/hooks' 'ln -sf /tmp .git/hooks/x' \
	'sh -c "echo /tmp >.git/commondir"' 'rm .git/commondir'; do
	eval "$attempt" 2>/dev/null && echo "done: $attempt"
done`)
	git := exec.Command("git", "init", "-q", p.Workspace)
	if out, err := git.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	var out buffer
	bottle := begin(t, home, p, backend.Stdio{Out: &out, Err: &out})
	if _, err := bottle.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out.String() != "worked\n" {
		t.Errorf("%s", &out)
	}
	if _, err := os.Lstat(filepath.Join(p.Workspace, commondir.Name)); err == nil {
		t.Error("the file that protected the repository is still there")
	}
	if err := os.RemoveAll(filepath.Join(p.Workspace, ".git")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(p.Workspace, ".git")); err != nil {
		t.Fatal(err)
	}
	if _, err := protect(p.Workspace); err == nil || !strings.Contains(err.Error(), "link") {
		t.Errorf("a repository that is a link: %v", err)
	}
}

// The end of one bottle does not unprotect the repository of another one in the
// same workspace, also when nobody cares for that one any more.
func TestTwoBottlesOneRepository(t *testing.T) {
	home := newHome(t)
	p, q := newPlan(t, home, "ending", "sleep", "300"), newPlan(t, home, "staying", "sleep", "300")
	q.Workspace = p.Workspace
	if out, err := exec.Command("git", "init", "-q", p.Workspace).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	ending := begin(t, home, p, backend.Stdio{})
	staying := begin(t, home, q, backend.Stdio{})
	if err := ending.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out, code := execute(t, staying, "echo /tmp >.git/commondir; rm -f .git/commondir; echo /tmp >.git/commondir"); code == 0 {
		t.Errorf("the agent led the repository elsewhere: %s", out)
	}
	if text, err := os.ReadFile(filepath.Join(p.Workspace, ".git", "commondir")); err != nil || string(text) != ".\n" {
		t.Errorf("the repository is not protected: %q %v", text, err)
	}
	if err := staying.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(p.Workspace, ".git", "commondir")); err == nil {
		t.Error("the last one left the file")
	}
}
