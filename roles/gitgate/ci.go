package gitgate

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/claude-bottle/claude-bottle/internal/gitpack"
)

// ciFolders are run by a forge, with all that is in them. They count at the
// repository's root.
var ciFolders = []string{
	".github/workflows", ".github/actions", ".gitlab", ".gitea/workflows", ".forgejo/workflows", ".circleci", ".buildkite",
}

// ciNames count in every folder; a folder of such a name counts with all that
// is in it.
var ciNames = []string{
	".gitlab-ci.yml", ".woodpecker*", ".drone.yml", "jenkinsfile", "azure-pipelines*.yml",
	"bitbucket-pipelines.yml", ".travis.yml",
}

// isCI tells whether what stands at a path, given in lower case and without
// the folders above being CI, is run by a forge. folder tells whether it is a
// folder.
func isCI(lower string, folder bool) bool {
	for _, f := range ciFolders {
		// Anything but a folder in the place of one, such as a link to
		// elsewhere, counts too.
		if lower == f || !folder && strings.HasPrefix(f, lower+"/") {
			return true
		}
	}
	for _, pattern := range ciNames {
		if ok, _ := path.Match(pattern, path.Base(lower)); ok {
			return true
		}
	}
	return false
}

// folded is a path without differences of case, those that only Unicode knows
// among them.
func folded(path string) string { return strings.ToLower(strings.ToUpper(path)) }

// ciComparison compares the CI paths of two trees.
type ciComparison struct {
	objects *objects
	// changed are the paths that differ; after maxChanged the search ends.
	changed []string
}

const maxChanged = 5

// walk compares two folders; "" stands for one that is not there. inside tells
// that everything in them counts.
func (c *ciComparison) walk(ctx context.Context, before, after gitpack.ID, at string, inside bool) {
	if before == after || len(c.changed) >= maxChanged {
		return
	}
	if strings.Count(at, "/") > maxTreeDepth {
		c.changed = append(c.changed, at)
		return
	}
	old, err1 := c.entries(ctx, before)
	now, err2 := c.entries(ctx, after)
	if err1 != nil || err2 != nil || ctx.Err() != nil {
		c.changed = append(c.changed, strings.TrimPrefix(at+"/ (cannot be compared)", "/"))
		return
	}
	for name := range union(old, now) {
		was, is := old[name], now[name]
		if was == is {
			continue
		}
		inner := strings.TrimPrefix(at+"/"+name, "/")
		lower := folded(inner)
		counts := inside ||
			was.Mode != "" && isCI(lower, was.Mode == gitpack.ModeTree) ||
			is.Mode != "" && isCI(lower, is.Mode == gitpack.ModeTree)
		wasTree, isTree := was.Mode == gitpack.ModeTree, is.Mode == gitpack.ModeTree
		if counts && (was.Mode != "" && !wasTree || is.Mode != "" && !isTree) {
			c.changed = append(c.changed, inner)
		}
		if wasTree || isTree {
			c.walk(ctx, treeID(was), treeID(is), inner, counts)
		}
	}
}

func (c *ciComparison) entries(ctx context.Context, tree gitpack.ID) (map[string]gitpack.TreeEntry, error) {
	if tree == "" {
		return nil, nil
	}
	list, err := c.objects.tree(ctx, tree)
	entries := make(map[string]gitpack.TreeEntry, len(list))
	for _, e := range list {
		entries[e.Name] = e
	}
	return entries, err
}

func treeID(e gitpack.TreeEntry) gitpack.ID {
	if e.Mode == gitpack.ModeTree {
		return e.ID
	}
	return ""
}

func union(a, b map[string]gitpack.TreeEntry) map[string]bool {
	names := make(map[string]bool, len(a)+len(b))
	for name := range a {
		names[name] = true
	}
	for name := range b {
		names[name] = true
	}
	return names
}

// ciChanges returns the CI paths at which a command's new commit differs from
// what the upstream has: of the same reference, or of its HEAD when the
// reference is new. A new reference without any CI path runs nothing.
func (o *objects) ciChanges(ctx context.Context, c command) []string {
	if c.deletes() || c.old == c.new {
		return nil
	}
	base, err := c.old, error(nil)
	if c.creates() {
		if o.runsNothing(ctx, c.new) {
			return nil
		}
		if base, err = o.lookup.head(ctx); err != nil {
			return []string{"(the upstream's HEAD cannot be read)"}
		}
	}
	var before gitpack.ID
	if base != "" { // an empty upstream has no HEAD
		if before, err = o.rootTree(ctx, base); err != nil {
			return []string{fmt.Sprintf("(%s, which it is compared with, cannot be read)", short(base))}
		}
	}
	after, err := o.rootTree(ctx, c.new)
	if err != nil {
		return []string{"(the new commit cannot be read)"}
	}
	comparison := ciComparison{objects: o}
	comparison.walk(ctx, before, after, "", false)
	if c.creates() && len(comparison.changed) > 0 && o.runsNothing(ctx, c.new) {
		return nil
	}
	return comparison.changed
}

// runsNothing tells whether what is here of a commit is all of it, and no CI
// path is in it.
func (o *objects) runsNothing(ctx context.Context, commit gitpack.ID) bool {
	here := *o
	here.offline = true
	tree, err := here.rootTree(ctx, commit)
	if err != nil {
		return false
	}
	all := ciComparison{objects: &here}
	all.walk(ctx, "", tree, "", false)
	return len(all.changed) == 0
}
