package gitgate

import (
	"context"
	"fmt"

	"github.com/claude-bottle/claude-bottle/internal/gitpack"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// maxNameShown is how many characters of a path or reference are shown.
const maxNameShown = 200

// wordsFor says where each secret stands: never the secret, and no name that
// holds one.
func wordsFor(ctx context.Context, finds []found, pack *gitpack.Pack, format gitpack.Format, scanner *secretscan.Scanner) []string {
	wanted := make(map[gitpack.ID]bool)
	for _, f := range finds {
		if f.object >= 0 {
			id, _ := pack.At(f.object)
			wanted[id] = true
		}
	}
	var places map[gitpack.ID]place
	if pack != nil {
		places = locate(ctx, pack, format, wanted)
	}
	words := make([]string, len(finds))
	for i, f := range finds {
		words[i] = f.words(pack, places, scanner)
	}
	return words
}

func (f found) words(pack *gitpack.Pack, places map[gitpack.ID]place, scanner *secretscan.Scanner) string {
	if f.object < 0 {
		return fmt.Sprintf("%s in %s", f.rule, f.what)
	}
	id, t := pack.At(f.object)
	where, located := places[id]
	if f.line == 0 {
		at := "object " + short(id)
		if t == gitpack.Blob && located {
			at = fmt.Sprintf("%s of %s", shownName(where.path, scanner), short(where.commit))
		}
		return fmt.Sprintf("%s in pieces, one of them in %s", f.rule, at)
	}
	switch t {
	case gitpack.Commit, gitpack.Tag:
		return fmt.Sprintf("%s in %s line %d of %s", f.rule, f.what, f.line, short(id))
	case gitpack.Tree:
		if !located {
			return fmt.Sprintf("%s in a file name of tree %s", f.rule, short(id))
		}
		return fmt.Sprintf("%s in a file name of %s", f.rule, short(where.commit))
	}
	if !located {
		return fmt.Sprintf("%s in object %s line %d of no commit in the push", f.rule, short(id), f.line)
	}
	return fmt.Sprintf("%s in %s line %d of %s", f.rule, shownName(where.path, scanner), f.line, short(where.commit))
}

// moreSecrets speaks of the secrets that a refusal does not name.
func moreSecrets(n int) string {
	const then = "; the next are named once those above are approved or gone"
	switch {
	case n == 1:
		return "and 1 more secret" + then
	case n >= maxCounted-maxFindings:
		return fmt.Sprintf("and %d more secrets or more", n) + then
	}
	return fmt.Sprintf("and %d more secrets", n) + then
}

// shownName is a path or the name of a reference, fit to be shown.
func shownName(name string, scanner *secretscan.Scanner) string {
	if scanner.Text("name", name) != nil {
		return "(a name that holds a secret)"
	}
	return proposal.Clean(name, maxNameShown)
}

// short is an id as git shows it.
func short(id gitpack.ID) string { return id.String()[:12] }
