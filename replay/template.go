package replay

import (
	"regexp"
	"slices"
	"strings"

	"github.com/claude-bottle/claude-bottle/canon"
)

// What counts as a group of paths.
const (
	// sharedSegments is how many first segments make paths one group.
	sharedSegments = 2
	// fewestIDs is how many different ids are a pattern where it would open
	// what writes.
	fewestIDs = 3
)

// template covers the paths, which are sorted, by prefixes of whole segments:
// the longest that the paths of a group share. Paths are a group when they
// share two segments, or differ only in segments that look like ids. Where
// they write, only paths that do both are one. The root, which would open all,
// is no prefix and not covered.
func template(paths []canon.Path, writing bool) []string {
	groups := make(map[string][][]string)
	for _, path := range paths {
		if path == "/" {
			continue
		}
		segments := split(path)
		groups[groupOf(segments, writing)] = append(groups[groupOf(segments, writing)], segments)
	}
	var prefixes []string
	for _, key := range sortedKeys(groups) {
		group := groups[key]
		prefix := shared(group)
		switch {
		case len(group) == 1, len(prefix) == 0, writing && (len(prefix) < sharedSegments || len(group) < fewestIDs):
			for _, segments := range group {
				prefixes = append(prefixes, "/"+strings.Join(segments, "/"))
			}
		default:
			prefixes = append(prefixes, "/"+strings.Join(prefix, "/"))
		}
	}
	return withoutCovered(prefixes)
}

// split are the segments of a path; a trailing slash is an empty last one.
func split(path canon.Path) []string { return strings.Split(string(path[1:]), "/") }

// groupOf is the same for paths of one group.
func groupOf(segments []string, writing bool) string {
	first := segments[:min(len(segments), sharedSegments)]
	if !writing && len(first) == sharedSegments && first[1] != "" && !slices.ContainsFunc(first, isID) {
		return strings.Join(first, "/")
	}
	pattern := slices.Clone(segments)
	for i, segment := range pattern {
		if isID(segment) {
			pattern[i] = "\x00" // in no path
		}
	}
	return strings.Join(pattern, "/")
}

// shared are the first segments that all of a group have.
func shared(group [][]string) []string {
	prefix := group[0]
	for _, segments := range group[1:] {
		n := 0
		for n < len(prefix) && n < len(segments) && prefix[n] == segments[n] {
			n++
		}
		prefix = prefix[:n]
	}
	for len(prefix) > 0 && prefix[len(prefix)-1] == "" {
		prefix = prefix[:len(prefix)-1]
	}
	return prefix
}

// withoutCovered drops prefixes that lie under another one.
func withoutCovered(prefixes []string) []string {
	slices.Sort(prefixes)
	prefixes = slices.Compact(prefixes)
	return slices.DeleteFunc(slices.Clone(prefixes), func(p string) bool {
		return slices.ContainsFunc(prefixes, func(other string) bool {
			return other != p && canon.Path(p).Under(canon.Path(other))
		})
	})
}

// isID reports whether a segment names one of many things of a kind: a number,
// a version, a UUID, a digest, a long mixture of letters and digits.
func isID(segment string) bool {
	return numberForm.MatchString(segment) || hexForm.MatchString(segment) && hasDigit(segment) ||
		uuidForm.MatchString(segment) || mixedForm.MatchString(segment) && hasDigit(segment)
}

var (
	numberForm = regexp.MustCompile(`^[0-9][0-9.]*$`)
	hexForm    = regexp.MustCompile(`^[0-9A-Fa-f]{7,}$`)
	uuidForm   = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	mixedForm  = regexp.MustCompile(`^[0-9A-Za-z_-]{16,}$`)
)

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }
