package routes

import (
	"net/url"
	"strings"

	"github.com/claude-bottle/claude-bottle/canon"
)

// gitKind is what a request does to repositories, the gravest last.
type gitKind int

const (
	gitNothing gitKind = iota
	gitFetch
	gitWrites
)

// classifyGit knows git's smart HTTP, LFS, the forges' writing REST calls and
// GraphQL in a query string, on any host: which software answers there is not
// known. Whatever may be a write is one, also where an encoded slash is a
// letter like any other, as it is to GitLab.
func classifyGit(r Request) gitKind {
	kind := classifyPath(r, r.Path)
	if r.slashed() {
		kind = max(kind, classifyPath(r, r.Sent))
	}
	return kind
}

func classifyPath(r Request, p canon.Path) gitKind {
	path := strings.TrimRight(string(p), "/")
	switch {
	case endsFold(path, "/git-upload-pack"):
		return gitFetch
	case endsFold(path, "/git-receive-pack"), endsFold(path, "/git-upload-archive"):
		return gitWrites
	case endsFold(path, "/info/refs"):
		return infoRefs(r.RawQuery)
	case hasLFS(path):
		return gitWrites
	case IsGraphQL(p) && graphQLQueryWrite(r.RawQuery):
		return gitWrites
	case !readOnly(r.Method) && (inBareRepository(path) || forgeWrite(path)):
		return gitWrites
	}
	return gitNothing
}

// fetchesPack reports whether the request is the second of a git fetch, a POST
// that writes nothing: git: {fetch: true} allows it beside the route's methods.
func fetchesPack(r *Request) bool {
	return r.Method == "POST" && endsFold(strings.TrimRight(string(r.Path), "/"), "/git-upload-pack")
}

func readOnly(method string) bool {
	return method == "GET" || method == "HEAD" || method == "OPTIONS"
}

// infoRefs tells what an advertisement is for. Without query it is the old
// protocol, which only fetches; everything but one plain service is a write.
func infoRefs(rawQuery string) gitKind {
	if rawQuery == "" {
		return gitFetch
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return gitWrites
	}
	for key, values := range query {
		if key != "service" && strings.EqualFold(strings.TrimSpace(key), "service") {
			return gitWrites
		}
		if key == "service" && (len(values) != 1 || values[0] != "git-upload-pack") {
			return gitWrites
		}
	}
	return gitFetch
}

// inBareRepository reports whether the path goes into a folder named *.git,
// where git's WebDAV push writes with PUT, MKCOL, LOCK and the like.
func inBareRepository(path string) bool {
	for rest := path; ; {
		segment, after, more := strings.Cut(rest, "/")
		if !more {
			return false
		}
		if endsFold(segment, ".git") {
			return true
		}
		rest = after
	}
}

// hasLFS reports whether the path is one of git-lfs's server API, be it
// objects/batch or locks: uploads and downloads are asked for alike.
func hasLFS(path string) bool {
	for path != "" {
		if len(path) >= len("/info/lfs") && strings.EqualFold(path[:len("/info/lfs")], "/info/lfs") &&
			(len(path) == len("/info/lfs") || path[len("/info/lfs")] == '/') {
			return true
		}
		next := strings.IndexByte(path[1:], '/')
		if next < 0 {
			return false
		}
		path = path[1+next:]
	}
	return false
}

func endsFold(path, suffix string) bool {
	return len(path) >= len(suffix) && strings.EqualFold(path[len(path)-len(suffix):], suffix)
}

// lastSegment is the last non-empty segment, without a format's extension.
func lastSegment(p canon.Path) string {
	path := strings.TrimRight(string(p), "/")
	return withoutFormat(path[strings.LastIndexByte(path, '/')+1:])
}

// withoutFormat drops the extension by which Rails and Grape choose the
// format of an answer: /projects.json is /projects.
func withoutFormat(segment string) string {
	for _, format := range []string{".json", ".xml"} {
		if endsFold(segment, format) {
			return segment[:len(segment)-len(format)]
		}
	}
	return segment
}
