package gitgate

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestReferenceRules(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil) // refs/heads/*, no force, no deletion
	dir := g.cloned(t)
	start := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
	commit(t, dir, map[string]string{"a": "1"})
	g.passes(t, dir, "HEAD:refs/heads/work")
	tip := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))

	git(t, dir, "tag", "-a", "-m", "v1", "v1")
	g.refuses(t, dir, "refused: ref: refs/tags/v1 is not among", "v1")
	git(t, dir, "notes", "add", "-m", "note")
	g.refuses(t, dir, "refused: ref: refs/notes/commits", "refs/notes/commits")
	g.refuses(t, dir, "refused: delete: refs/heads/work", "--delete", "work")
	g.refuses(t, dir, "refused: delete: refs/heads/work", "HEAD:refs/heads/new", ":refs/heads/work")
	g.refuses(t, dir, "refused: force: refs/heads/work", "+"+start+":refs/heads/work")
	git(t, dir, "reset", "-q", "--hard", start)
	commit(t, dir, map[string]string{"b": "2"})
	g.refuses(t, dir, "refused: force: refs/heads/work", "+HEAD:refs/heads/work", "HEAD:refs/heads/other")
	g.refuses(t, dir, "the receiving end does not support push options", "-o", "x", "HEAD:refs/heads/other")
	g.passes(t, dir, "HEAD:refs/heads/other")
	git(t, dir, "merge", "-q", "-m", "merge", tip)
	g.passes(t, dir, "HEAD:refs/heads/work")

	// A fast-forward over commits that the upstream has already: the push does
	// not hold them.
	g.passes(t, dir, start+":refs/heads/behind")
	g.passes(t, dir, "HEAD:refs/heads/behind")
	g.refuses(t, dir, "refused: force: refs/heads/behind", "+"+start+":refs/heads/behind")
}

func TestForceWhereHistoryIsAtTheUpstream(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{"true", "false"} {
		g := startGate(t, nil)
		git(t, g.upstream, "config", "uploadpack.allowFilter", filter)
		dir := g.cloned(t)
		g.passes(t, dir, "HEAD~2:refs/heads/old")
		g.passes(t, dir, "HEAD~1:refs/heads/old")
		g.refuses(t, dir, "refused: force", "+HEAD~4:refs/heads/old")
	}
}

func TestTagsAreNotMoved(t *testing.T) {
	t.Parallel()
	g := startGateWith(t, "push: ['refs/heads/*', 'refs/tags/v*']\n", nil, nil)
	dir := g.cloned(t)
	g.passes(t, dir, "HEAD~1:refs/tags/v1")
	g.refuses(t, dir, "refused: force: refs/tags/v1", "+HEAD:refs/tags/v1")
	g.refuses(t, dir, "refused: ref: refs/tags/w1", "HEAD:refs/tags/w1")
}

func TestFetchOnly(t *testing.T) {
	t.Parallel()
	g := startGateWith(t, "push: []\n", nil, nil)
	dir := g.cloned(t)
	g.refuses(t, dir, "refused: git-write", "HEAD:refs/heads/new")
}

const workflow = "on: push\njobs: {}\n"

func TestCIPaths(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		".github/workflows/a.yml", ".GitHub/Workflows/A.YML", ".github/actions/x/action.yml", ".gitlab-ci.yml",
		"deep/er/.gitlab-ci.yml", ".gitlab/ci/x.yml", ".gitea/workflows/x", ".forgejo/workflows/x", ".circleci/config.yml",
		".woodpecker.yml", ".woodpecker/build.yaml", "sub/Jenkinsfile", "azure-pipelines-x.yml", "bitbucket-pipelines.yml",
		".travis.yml", ".drone.yml", ".buildkite/pipeline.yml", ".github", ".gitea", ".github/workflow\u017f/a.yml", ".github/wor\u212aflows/a.yml",
	} {
		if !ciTouches(path) {
			t.Errorf("%s does not count", path)
		}
	}
	for _, path := range []string{
		"src/.github/workflows/a.yml", ".github/CODEOWNERS", "docs/Jenkinsfile.md", "x.travis.yml", "gitlab-ci.yml", ".circle/config.yml",
	} {
		if ciTouches(path) {
			t.Errorf("%s counts", path)
		}
	}
}

// ciTouches asks as walk does, folder by folder.
func ciTouches(path string) bool {
	lower := folded(path)
	for i, c := range lower {
		if c == '/' && isCI(lower[:i], true) {
			return true
		}
	}
	return isCI(lower, false)
}

func TestCIDenied(t *testing.T) {
	t.Parallel()
	g := startGateWith(t, "ci_paths: deny\n", nil, nil)
	dir := g.cloned(t)
	start := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
	for _, path := range []string{".github/workflows/a.yml", "deep/Jenkinsfile", ".GITLAB-ci.yml"} {
		git(t, dir, "reset", "-q", "--hard", start)
		commit(t, dir, map[string]string{path: workflow, "other": path})
		g.refuses(t, dir, "refused: ci-path: ", "HEAD:refs/heads/main")
		out := g.refuses(t, dir, "refused: ci-path: ", "HEAD:refs/heads/new")
		if !strings.Contains(out, path) {
			t.Errorf("%s is not named: %s", path, out)
		}
		// Undone in the same push, nothing runs.
		git(t, dir, "rm", "-q", path)
		git(t, dir, "commit", "-q", "-m", "undo")
		g.passes(t, dir, "HEAD:refs/heads/undone-"+strings.ToLower(filepath.Base(path)))
	}
	if log := g.audited(t); !strings.Contains(log, "ci-path") {
		t.Errorf("the audit log does not name the rule: %s", log)
	}
}

// TestCIUnchanged pushes to an upstream whose CI files are older than the push
// and not in it.
func TestCIUnchanged(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{"true", "false"} {
		t.Run("filter "+filter, func(t *testing.T) {
			g := startGateWith(t, "ci_paths: deny\nforce: true\ndelete: true\npush: ['refs/*']\n", nil, nil)
			git(t, g.upstream, "config", "uploadpack.allowFilter", filter)
			direct := filepath.Join(t.TempDir(), "direct")
			git(t, "", "clone", "-q", g.upstream, direct)
			commit(t, direct, map[string]string{".github/workflows/a.yml": workflow, "sub/Jenkinsfile": "x", "sub/a": "a"})
			git(t, direct, "push", "-q", "origin", "HEAD:main")
			dir := g.cloned(t)
			start := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
			commit(t, dir, map[string]string{"sub/a": "b"})
			g.passes(t, dir, "HEAD:refs/heads/main")
			g.passes(t, dir, "HEAD:refs/heads/new")
			g.passes(t, dir, "HEAD:refs/tags/new")
			git(t, dir, "mv", "sub", "moved")
			git(t, dir, "commit", "-q", "-m", "moved")
			g.refuses(t, dir, "moved/Jenkinsfile", "HEAD:refs/heads/main")
			git(t, dir, "reset", "-q", "--hard", start)
			git(t, dir, "rm", "-q", "-r", ".github")
			git(t, dir, "commit", "-q", "-m", "no checks")
			g.refuses(t, dir, ".github/workflows/a.yml", "+HEAD:refs/heads/main")
			// The state before there was CI is older than what HEAD has.
			g.passes(t, dir, start+"~1:refs/heads/before")
			// A branch without any of it runs nothing.
			git(t, dir, "checkout", "-q", "--orphan", "pages")
			git(t, dir, "rm", "-q", "-r", "-f", ".")
			commit(t, dir, map[string]string{"index.html": "hello"})
			g.passes(t, dir, "HEAD:refs/heads/pages")
		})
	}
}
