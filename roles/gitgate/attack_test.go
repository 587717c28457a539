package gitgate

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/claude-bottle/claude-bottle/internal/gitpack"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// object writes an object that git itself would not make, and returns its id.
func object(t *testing.T, dir, kind, content string) string {
	t.Helper()
	cmd := exec.Command("git", "hash-object", "-t", kind, "-w", "--stdin", "--literally")
	cmd.Dir, cmd.Env, cmd.Stdin = dir, environment("/nonexistent"), strings.NewReader(content)
	id, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(id))
}

// entry is one of a tree.
func entry(mode, name, id string) string {
	raw, err := hex.DecodeString(id)
	if err != nil {
		panic(err)
	}
	return mode + " " + name + "\x00" + string(raw)
}

func wide(text string) string {
	var out bytes.Buffer
	for _, c := range utf16.Encode([]rune(text)) {
		out.Write([]byte{byte(c), byte(c >> 8)})
	}
	return out.String()
}

// TestHiddenInObjects builds objects by hand that carry the secret where git's
// own commands would not put it; each is close to one that passes.
func TestHiddenInObjects(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	dir := g.cloned(t)
	parent := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
	tree := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD^{tree}"))
	blob := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD:README"))
	const who = "a <a@example.com> 1700000000 +0000"
	commit := func(tree, headers, message string) string {
		return object(t, dir, "commit", "tree "+tree+"\nparent "+parent+"\nauthor "+who+"\ncommitter "+who+"\n"+headers+"\n"+message)
	}
	rawID := hex.EncodeToString([]byte(shortSecret))
	wrapped := strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte("some text before it "+secret+" and behind")), "\n", "")
	signature := "gpgsig -----BEGIN PGP SIGNATURE-----\n \n " + wrapped + "\n -----END PGP SIGNATURE-----\n"
	tagged := "mergetag object " + parent + "\n type commit\n tag v1\n tagger " + who + "\n \n release " + secret + "\n"

	for _, test := range []struct{ name, tip, want string }{
		{"signature", commit(tree, signature, "x\n"), "known-secret in the author or header line "},
		{"merged tag", commit(tree, tagged, "x\n"), "known-secret in the author or header line "},
		{"header nobody knows", commit(tree, "x-note "+secret+"\n", "x\n"), "known-secret in the author or header line 5 of "},
		{"over the border of header and message", commit(tree, "x-note correct-horse-\n", "battery-staple\n"), "known-secret in "},
		{"UTF-16 message", commit(tree, "encoding UTF-16\n", wide("note: "+secret+"\n")), "known-secret in "},
		{"behind a zero byte", commit(tree, "", "x\x00"+secret+"\n"), "known-secret in the message"},
		{"message in base32 lines", commit(tree, "", "x\n\n"+hex.EncodeToString([]byte(secret))[:30]+hex.EncodeToString([]byte(secret))[30:]+"\n"), "known-secret in the message"},
		{"submodule's URL", commit(object(t, dir, "tree", entry("100644", ".gitmodules", object(t, dir, "blob", "[submodule \"m\"]\n\tpath = m\n\turl = https://x:"+secret+"@forge.test/m\n"))+entry("160000", "m", parent)), "", "x\n"), "known-secret in .gitmodules line 3 of "},
		{"link's target", commit(object(t, dir, "tree", entry("120000", "link", object(t, dir, "blob", "../"+secret))), "", "x\n"), "known-secret in link line 1 of "},
		{"id of a tree's entry", commit(object(t, dir, "tree", entry("100644", "a", rawID)), "", "x\n"), "known-secret in a file name of "},
		{"ids of neighbouring entries", commit(object(t, dir, "tree", entry("100644", "a", hex.EncodeToString([]byte("0123456789"+secret[:10])))+
			entry("100644", "b", hex.EncodeToString([]byte(secret[10:] + "0123456789ab")[:20]))), "", "x\n"), "known-secret in "},
		{"mode that git does not write", commit(object(t, dir, "tree", entry("100600", "a", blob)), "", "x\n"), "no mode that git writes"},
		{"mode with a leading zero", commit(object(t, dir, "tree", entry("040000", "a", tree)), "", "x\n"), "no mode that git writes"},
		{"name with a slash", commit(object(t, dir, "tree", entry("100644", ".github/workflows/a.yml", blob)), "", "x\n"), "does not allow"},
		{"name twice", commit(object(t, dir, "tree", entry("100644", "a", blob)+entry("100755", "a", blob)), "", "x\n"), "a name twice"},
		{"CI file behind a second one of the name", commit(object(t, dir, "tree", entry("40000", ".github", tree)+entry("40000", ".github", tree)), "", "x\n"), "a name twice"},
		{"link instead of the CI folder", commit(object(t, dir, "tree", entry("120000", ".github", object(t, dir, "blob", "other"))), "", "x\n"), "refused: ci-path"},
		{"submodule instead of the CI folder", commit(object(t, dir, "tree", entry("160000", ".github", parent)), "", "x\n"), "refused: ci-path"},
		{"tree out of order", commit(object(t, dir, "tree", entry("100644", "z", blob)+entry("100644", "Jenkinsfile", blob)), "", "x\n"), "refused: ci-path"},
		{"half in one file, half in another", commit(object(t, dir, "tree", entry("100644", "a", object(t, dir, "blob", "x "+secret[:14]+" y"))+
			entry("100644", "b", object(t, dir, "blob", "x "+secret[14:]+" y"))), "", "x\n"), "known-secret in "},
	} {
		t.Run(test.name, func(t *testing.T) {
			pack := packedObjects(t, dir, test.tip, parent)
			body := line(none+" "+test.tip+" refs/heads/new"+wanted) + "0000" + pack
			before := g.state(t)
			status, answer := g.post(t, body)
			if status != 200 || !strings.Contains(answer, "ng refs/heads/new ") || !strings.Contains(answer, test.want) {
				t.Errorf("%d %q, want %q", status, answer, test.want)
			}
			if g.state(t) != before {
				t.Error("the upstream changed")
			}
		})
	}
	// The same by hand, without anything in it.
	sub := object(t, dir, "tree", entry("100644", "a", blob)+entry("120000", "b", object(t, dir, "blob", "../x"))+entry("160000", "c", parent))
	tip := commit(sub, "encoding UTF-16\n", wide("note\n"))
	if _, answer := g.post(t, line(none+" "+tip+" refs/heads/new"+wanted)+"0000"+packedObjects(t, dir, tip, parent)); !strings.Contains(answer, "ok refs/heads/new") {
		t.Errorf("control: %q", answer)
	}
}

// packedObjects is a pack of all that a commit needs and its parent does not have.
// Unlike packed it does not look into trees whose objects are missing.
func packedObjects(t *testing.T, dir, tip, parent string) string {
	t.Helper()
	tree := strings.TrimSpace(git(t, dir, "rev-parse", tip+"^{tree}"))
	ids := tip + "\n" + tree + "\n"
	for line := range strings.Lines(git(t, dir, "cat-file", "-p", tree)) {
		if id := strings.Fields(line)[2]; id != parent {
			if _, err := tryGit(t, dir, "cat-file", "-e", id); err == nil && !strings.Contains(ids, id) {
				ids += id + "\n"
			}
		}
	}
	cmd := exec.Command("git", "pack-objects", "--stdout", "-q")
	cmd.Dir, cmd.Env, cmd.Stdin = dir, environment("/nonexistent"), strings.NewReader(ids)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	pack, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return string(pack)
}

// TestUnreachableObjects: a pack may hold more than its references need, and
// hosts give it to whoever knows the id.
func TestUnreachableObjects(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	dir := g.cloned(t)
	parent := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
	tip := strings.TrimSpace(git(t, dir, "commit-tree", "HEAD^{tree}", "-p", parent, "-m", "next"))
	push := func(more string) string {
		cmd := exec.Command("git", "pack-objects", "--stdout", "-q")
		cmd.Dir, cmd.Env, cmd.Stdin = dir, environment("/nonexistent"), strings.NewReader(tip+"\n"+more+"\n")
		pack, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		_, answer := g.post(t, line(none+" "+tip+" refs/heads/new"+wanted)+"0000"+string(pack))
		return answer
	}
	before := g.state(t)
	raw := hex.EncodeToString([]byte(shortSecret))
	for name, id := range map[string]string{
		"blob":           object(t, dir, "blob", secret),
		"tree":           object(t, dir, "tree", entry("100644", secret, parent)),
		"tree of ids":    object(t, dir, "tree", entry("100644", "a", raw)),
		"commit":         object(t, dir, "commit", "tree "+raw+"\nauthor a <a@b> 0 +0000\ncommitter a <a@b> 0 +0000\n\nx\n"),
		"commit's first": object(t, dir, "commit", "tree "+parent+"\nparent "+raw+"\nauthor a <a@b> 0 +0000\ncommitter a <a@b> 0 +0000\n\nx\n"),
		"tag":            object(t, dir, "tag", "object "+parent+"\ntype commit\ntag "+secret+"\ntagger a <a@b> 0 +0000\n\nx\n"),
	} {
		if answer := push(id); !strings.Contains(answer, "git-gate: refused: known-secret in ") {
			t.Errorf("%s: %q", name, answer)
		}
	}
	if g.state(t) != before {
		t.Error("the upstream changed")
	}
	if answer := push(object(t, dir, "blob", "nothing of interest")); !strings.Contains(answer, "ok refs/heads/new") {
		t.Errorf("control: %q", answer)
	}
}

// TestSecretAcrossADelta puts one half of it into the base and the other into
// the delta.
func TestSecretAcrossADelta(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	dir := g.cloned(t)
	text := strings.Repeat("a line of text that is long enough for a delta\n", 100)
	// Too short for a fragment of its own, so that only the whole is found.
	commit(t, dir, map[string]string{"text": text + "x " + secret[:7] + "\n" + text})
	g.passes(t, dir, "HEAD:refs/heads/main")
	commit(t, dir, map[string]string{"text": text + "x " + secret + "\n" + text})
	g.refuses(t, dir, "known-secret in text line 101 of ", "HEAD:refs/heads/main")
	commit(t, dir, map[string]string{"text": text + "x " + secret[:7] + secret[8:15] + "\n" + text})
	git(t, dir, "reset", "-q", "--soft", "HEAD~2")
	git(t, dir, "commit", "-q", "-m", "without")
	g.passes(t, dir, "HEAD:refs/heads/main")
}

// TestSecretsInReferenceNames: a slash between its parts hides nothing.
func TestSecretsInReferenceNames(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	dir := g.cloned(t)
	for _, name := range []string{secret, strings.ReplaceAll(secret, "-", "/"), strings.ToUpper(secret), hex.EncodeToString([]byte(secret))} {
		g.refuses(t, dir, "refused: known-secret in the references", "HEAD:refs/heads/"+name)
	}
	g.passes(t, dir, "HEAD:refs/heads/correct/horse")
}

// TestLargeFileWithManySecrets names what stands in a file that is not held.
func TestLargeFileWithManySecrets(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	dir := g.cloned(t)
	var text strings.Builder
	tokens := strings.SplitAfter(manySecrets(3), "\n")
	for i := range 3 {
		text.WriteString(strings.Repeat("a line of text that is of no interest to anybody\n", 70_000))
		text.WriteString(tokens[i])
	}
	if err := os.WriteFile(filepath.Join(dir, "large"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "-c", "core.bigFileThreshold=1m", "add", "large")
	git(t, dir, "commit", "-q", "-m", "large")
	out := g.refuses(t, dir, "refused: github-pat in large line 70001 of ", "HEAD:refs/heads/main")
	for _, line := range []int{140002, 210003} {
		if want := fmt.Sprintf("refused: github-pat in large line %d of ", line); !strings.Contains(out, want) {
			t.Errorf("%q is not named: %s", want, out)
		}
	}
}

// TestScanThatPanics: what happens in another goroutine ends where the judgement
// is guarded, not the process.
func TestScanThatPanics(t *testing.T) {
	t.Parallel()
	scanner, err := scannerOnce()
	if err != nil {
		t.Fatal(err)
	}
	i := newInspector(scanner, gitpack.SHA1, "x", func(secretscan.Finding) bool { panic("an index out of range") })
	if err := i.Object(0, "", gitpack.Blob, []byte(secret)); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if cause := recover(); cause == nil {
			t.Error("the panic is lost")
		}
	}()
	i.wait()
}
