package gitgate

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/audit"
)

// cloned returns a clone through the gate.
func (g *gate) cloned(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	git(t, "", "clone", "-q", g.url, dir)
	return dir
}

// refs is what the upstream has by name.
func (g *gate) refs(t *testing.T) string { return git(t, g.upstream, "for-each-ref") }

// state is all that an upstream can be changed in: its references, and the
// names of its objects.
func (g *gate) state(t *testing.T) string {
	t.Helper()
	var state strings.Builder
	for _, name := range []string{"HEAD", "packed-refs", "refs", "objects"} {
		err := filepath.WalkDir(filepath.Join(g.upstream, name), func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && name == "packed-refs" {
				return nil
			}
			if err != nil || e.IsDir() {
				return err
			}
			state.WriteString(path)
			if name != "objects" {
				content, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				state.Write(content)
			}
			state.WriteByte('\n')
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return state.String()
}

// passes pushes and checks that the upstream has what was pushed.
func (g *gate) passes(t *testing.T, dir string, args ...string) string {
	t.Helper()
	before := g.state(t)
	out, err := tryGit(t, dir, append([]string{"push", "origin"}, args...)...)
	if err != nil {
		t.Fatalf("push %v: %v\n%s", args, err, out)
	}
	if g.state(t) == before {
		t.Errorf("push %v: the upstream has nothing new\n%s", args, out)
	}
	return out
}

// refuses pushes and checks that the upstream is as it was: no reference moved
// and no object came.
func (g *gate) refuses(t *testing.T, dir, want string, args ...string) string {
	t.Helper()
	before := g.state(t)
	out, err := tryGit(t, dir, append([]string{"push", "origin"}, args...)...)
	if err == nil || !strings.Contains(out, want) {
		t.Errorf("push %v: %v, want %q in\n%s", args, err, want, out)
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "remote:") && (strings.Contains(line, secret) || strings.Contains(line, githubToken)) {
			t.Errorf("push %v shows the secret: %s", args, line)
		}
	}
	if after := g.state(t); after != before {
		t.Errorf("push %v changed the upstream:\n%s\n%s", args, before, after)
	}
	return out
}

// commit writes files and commits them.
func commit(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		git(t, dir, "add", "-f", name)
	}
	git(t, dir, "commit", "-q", "-m", "change")
}

func TestPush(t *testing.T) {
	t.Parallel()
	g := startGateWith(t, "push: ['refs/*']\nforce: true\ndelete: true\npush_options: true\n", nil, nil)
	git(t, g.upstream, "config", "receive.advertisePushOptions", "true")
	dir := g.cloned(t)
	commit(t, dir, map[string]string{"README": "more widgets\n"})
	g.passes(t, dir, "HEAD:refs/heads/main")
	commit(t, dir, map[string]string{"src/a.go": "package a\n", "src/b.go": "package b\n"})
	for _, version := range []string{"0", "1", "2"} {
		git(t, dir, "config", "protocol.version", version)
		g.passes(t, dir, "HEAD:refs/heads/v"+version)
	}
	git(t, dir, "tag", "-a", "-m", "first", "v1")
	git(t, dir, "tag", "light")
	git(t, dir, "notes", "add", "-m", "a note")
	g.passes(t, dir, "--tags")
	g.passes(t, dir, "refs/notes/commits")
	g.passes(t, dir, "--atomic", "HEAD:refs/heads/x", "HEAD~1:refs/heads/y")
	g.passes(t, dir, "-o", "ci.skip", "HEAD:refs/heads/options")
	g.passes(t, dir, "--delete", "x", "refs/tags/v1")
	git(t, dir, "commit", "-q", "--amend", "-m", "again")
	g.passes(t, dir, "--force", "HEAD:refs/heads/v2")
	git(t, dir, "fetch", "-q")
	git(t, dir, "commit", "-q", "--amend", "-m", "once more")
	g.passes(t, dir, "--force-with-lease", "HEAD:refs/heads/v2")
	git(t, g.upstream, "fsck", "--strict")

	// What the upstream itself refuses is told as it says it.
	before := g.state(t)
	git(t, g.upstream, "config", "receive.denyDeletes", "true")
	if out, err := tryGit(t, dir, "push", "origin", "--delete", "y"); err == nil || !strings.Contains(out, "deletion prohibited") {
		t.Errorf("the upstream's refusal: %v %s", err, out)
	}
	if after := g.state(t); after != before {
		t.Errorf("the upstream changed:\n%s", after)
	}
}

func TestPushFromShallowClone(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	dir := filepath.Join(t.TempDir(), "shallow")
	git(t, "", "clone", "-q", "--depth=1", g.url, dir)
	commit(t, dir, map[string]string{"README": "more widgets\n"})
	g.passes(t, dir, "HEAD:refs/heads/main")
	commit(t, dir, map[string]string{"README": secret})
	g.refuses(t, dir, "known-secret in README line 1", "HEAD:refs/heads/main")
}

func TestPushSHA256(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	if err := os.RemoveAll(g.upstream); err != nil {
		t.Fatal(err)
	}
	git(t, "", "init", "-q", "--bare", "--object-format=sha256", g.upstream)
	dir := filepath.Join(t.TempDir(), "clone")
	git(t, "", "init", "-q", "--object-format=sha256", "-b", "main", dir)
	git(t, dir, "remote", "add", "origin", g.url)
	commit(t, dir, map[string]string{"README": "widgets\n", "Jenkinsfil": "no CI\n"})
	g.passes(t, dir, "main")
	commit(t, dir, map[string]string{"README": "more widgets\n"})
	g.passes(t, dir, "main")
	commit(t, dir, map[string]string{"a/b": secret})
	g.refuses(t, dir, "known-secret in a/b line 1", "main")
}

// TestPushLarge sends a pack in several parts and a blob that is too large to
// be held; git asks with an empty request first.
func TestPushLarge(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	dir := g.cloned(t)
	noise := make([]byte, 9<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	commit(t, dir, map[string]string{"noise": string(noise)})
	g.passes(t, dir, "HEAD:refs/heads/noise")
	commit(t, dir, map[string]string{"more": string(noise[1:]) + "\nx = " + secret + "\n"})
	g.refuses(t, dir, "known-secret in more line", "HEAD:refs/heads/noise")
}

// githubToken has the form of one; nothing but gitleaks' rules knows it.
const githubToken = "ghp" + "_" + "k3J9xQ2mV7bT1wR8zL5pN4dF6hG0sYcAeUiO"

// TestSecretAnywhere hides a secret in each part of a push.
func TestSecretAnywhere(t *testing.T) {
	t.Parallel()
	g := startGateWith(t, "push: ['refs/*']\nforce: true\ndelete: true\npush_options: true\n", nil, nil)
	git(t, g.upstream, "config", "receive.advertisePushOptions", "true")
	dir := g.cloned(t)
	text := strings.Repeat("a line of text that is long enough for a delta\n", 100)
	commit(t, dir, map[string]string{"text": text})
	g.passes(t, dir, "HEAD:refs/heads/main")
	const head = "+HEAD:refs/heads/main"
	file := func(name, content, want string) func(*testing.T) (string, []string) {
		return func(t *testing.T) (string, []string) {
			commit(t, dir, map[string]string{name: content})
			return want, []string{head}
		}
	}
	for _, test := range []struct {
		name string
		make func(*testing.T) (want string, args []string)
	}{
		{"file", file("src/a.go", "package a\n\nvar x = `"+secret+"`\n", "known-secret in src/a.go line 3 of ")},
		{"allowed by a comment", file("a.go", secret+" // gitleaks:allow\n", "known-secret in a.go line 1")},
		{"link in a README", file("README.md", "# Widgets\n\nSee [here](https://collector.test/?q="+githubToken+").\n", "github-pat in README.md line 3 of ")},
		{"token in a lock file", file("go.sum", "x "+githubToken+"\n", "github-pat in go.sum line 1 of ")},
		{"lock file", file("package-lock.json", secret, "known-secret in package-lock.json line 1")},
		{"image", file("vendor/a.png", "\x89PNG\r\n\x1a\n\x00"+secret, "known-secret in vendor/a.png")},
		{"its own configuration", func(t *testing.T) (string, []string) {
			commit(t, dir, map[string]string{
				".gitleaks.toml":   "[allowlist]\npaths = ['.*']\nregexes = ['.*']\n",
				".gitleaksignore":  "a.go:known-secret:1\n",
				".gitattributes":   "* -text filter=x\n",
				"secret/plain.txt": secret,
			})
			return "known-secret in secret/plain.txt line 1", []string{head}
		}},
		{"base64", file("a.txt", base64.StdEncoding.EncodeToString([]byte("x"+secret)), "known-secret in a.txt")},
		{"base64 twice", file("a.txt", base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(secret)))), "known-secret in a.txt")},
		{"hex", file("a.txt", hex.EncodeToString([]byte(secret)), "known-secret in a.txt")},
		{"delta", file("text", text+secret+"\n"+text, "known-secret in text line 101 of ")},
		{"file name", file("a/"+secret+"/b", "nothing", "known-secret in a file name of ")},
		{"file and its name", file("a-"+secret+".txt", "pass "+secret, "known-secret in ")},
		{"odd file name", file("a\x1b[2J\u202e.txt", secret, "known-secret in a.txt line 1")},
		{"symbolic link", func(t *testing.T) (string, []string) {
			if err := os.Symlink("/x/"+secret, filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			git(t, dir, "add", "link")
			git(t, dir, "commit", "-q", "-m", "link")
			return "known-secret in link line 1", []string{head}
		}},
		{"submodule's commit", func(t *testing.T) (string, []string) {
			raw := hex.EncodeToString([]byte(shortSecret))
			git(t, dir, "update-index", "--add", "--cacheinfo", "160000,"+raw+",module")
			git(t, dir, "commit", "-q", "-m", "module")
			return "known-secret in a file name of ", []string{head}
		}},
		{"message", func(t *testing.T) (string, []string) {
			git(t, dir, "commit", "-q", "--allow-empty", "-m", "subject\n\nbody "+secret)
			return "known-secret in the message line 3 of ", []string{head}
		}},
		{"author", func(t *testing.T) (string, []string) {
			git(t, dir, "commit", "-q", "--allow-empty", "--author", secret+" <a@example.com>", "-m", "x")
			return "known-secret in the author or header line 3 of ", []string{head}
		}},
		{"commit that is undone", func(t *testing.T) (string, []string) {
			commit(t, dir, map[string]string{"oops": secret})
			git(t, dir, "rm", "-q", "oops")
			git(t, dir, "commit", "-q", "-m", "undo")
			return "known-secret in oops line 1 of " + strings.TrimSpace(git(t, dir, "rev-parse", "--short=12", "HEAD~1")), []string{head}
		}},
		{"second parent", func(t *testing.T) (string, []string) {
			git(t, dir, "checkout", "-q", "-b", "side")
			commit(t, dir, map[string]string{"oops": secret})
			git(t, dir, "rm", "-q", "oops")
			git(t, dir, "commit", "-q", "-m", "undo")
			git(t, dir, "checkout", "-q", "-")
			git(t, dir, "merge", "-q", "--no-ff", "-m", "merge", "side")
			git(t, dir, "branch", "-q", "-D", "side")
			return "known-secret in oops line 1", []string{head}
		}},
		{"tag", func(t *testing.T) (string, []string) {
			git(t, dir, "tag", "-a", "-m", "v1 "+secret, "v1")
			return "known-secret in the message line 1 of ", []string{"v1"}
		}},
		{"note", func(t *testing.T) (string, []string) {
			git(t, dir, "notes", "add", "-f", "-m", secret)
			return "known-secret in ", []string{"refs/notes/commits"}
		}},
		{"name of a branch", func(*testing.T) (string, []string) {
			return "known-secret in the references", []string{"HEAD:refs/heads/" + secret}
		}},
		{"push option", func(*testing.T) (string, []string) {
			return "known-secret in the references or options", []string{"-o", "key=" + secret, "HEAD:refs/heads/o"}
		}},
		{"tag of a blob", func(t *testing.T) (string, []string) {
			path := filepath.Join(t.TempDir(), "blob")
			if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
				t.Fatal(err)
			}
			git(t, dir, "tag", "blob", strings.TrimSpace(git(t, dir, "hash-object", "-w", path)))
			return "known-secret in object ", []string{"refs/tags/blob"}
		}},
		{"one of several references", func(t *testing.T) (string, []string) {
			git(t, dir, "commit", "-q", "--allow-empty", "-m", "clean")
			git(t, dir, "branch", "-q", "-f", "clean")
			commit(t, dir, map[string]string{"x": secret})
			return "known-secret in x line 1", []string{"clean:refs/heads/clean", "HEAD:refs/heads/bad"}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			start := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
			want, args := test.make(t)
			g.refuses(t, dir, "remote: git-gate: refused: "+want, args...)
			git(t, dir, "reset", "-q", "--hard", start)
		})
	}
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "the same without a secret")
	g.passes(t, dir, head, "HEAD:refs/tags/clean")
	if report, err := audit.Verify(g.audit); err != nil || report.Broken != nil {
		t.Errorf("audit: %+v %v", report, err)
	}
	if log, err := os.ReadFile(g.audit); err != nil || strings.Contains(string(log), secret) {
		t.Errorf("the audit log holds the secret (%v)", err)
	}
}

// audited is the audit log's text.
func (g *gate) audited(t *testing.T) string {
	t.Helper()
	log, err := os.ReadFile(g.audit)
	if err != nil {
		t.Fatal(err)
	}
	return string(log)
}
