package routes_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// verdicts of the three hosts of the table: one without git, one with fetch,
// one with api_write.
func verdicts(t *testing.T, line string) (strict, fetch, write bool) {
	t.Helper()
	parsed := mustParse(t, table)
	allowed := func(host string) bool {
		r := ask(t, strings.Replace(line, "HOST", host, 1))
		_, d := parsed.Decide(r, noon, nil)
		if !d.Allow && d.Rule != policy.GitWrite {
			t.Fatalf("%s at %s: %+v", line, host, d)
		}
		return d.Allow
	}
	return allowed("strict.test"), allowed("git.test"), allowed("forge.test")
}

func TestGitFetches(t *testing.T) {
	for _, line := range []string{
		"GET HOST/acme/w.git/info/refs?service=git-upload-pack",
		"GET HOST/acme/w/info/refs?service=git-upload-pack&x=y",
		"GET HOST/acme/w/info/refs?%73ervice=git-upload-pac%6b",
		"GET HOST/acme/w.git/info/refs",
		"GET HOST/acme/w.git/info/refs?x=y",
		"GET HOST/info/refs/?service=git-upload-pack",
		"POST HOST/acme/w.git/git-upload-pack",
		"POST HOST/acme/w.git/Git-Upload-Pack/",
		"POST HOST/acme/w.git/git%2dupload-pack",
	} {
		if strict, fetch, write := verdicts(t, line); strict || !fetch || write {
			t.Errorf("%s: allowed %v without git, %v with fetch, %v with api_write", line, strict, fetch, write)
		}
	}
}

// A route that only reads can be fetched from, and that is the one POST.
func TestGitFetchNeedsNoMethod(t *testing.T) {
	parsed := mustParse(t, `
routes:
  - {host: reads.test, methods: [GET, HEAD], paths: [/acme], git: {fetch: true}}
  - {host: plain.test, methods: [GET, HEAD]}
`)
	for line, want := range map[string]policy.Rule{
		"GET reads.test/acme/w.git/info/refs?service=git-upload-pack": "",
		"POST reads.test/acme/w.git/git-upload-pack":                  "",
		"POST reads.test/acme/w.git/git%2dupload-pack/":               "",
		"PUT reads.test/acme/w.git/git-upload-pack":                   policy.Method,
		"POST reads.test/acme/w.git/info/refs":                        policy.Method,
		"POST reads.test/acme/w.git/git-receive-pack":                 policy.Method,
		"POST reads.test/acme/w/issues":                               policy.Method,
		"POST reads.test/other/w.git/git-upload-pack":                 policy.Path,
		"POST plain.test/acme/w.git/git-upload-pack":                  policy.Method,
	} {
		if _, d := parsed.Decide(ask(t, line), noon, nil); d.Rule != want || d.Allow != (want == "") {
			t.Errorf("%s: %+v, want %q", line, d, want)
		}
	}
}

func TestGitWrites(t *testing.T) {
	for _, line := range []string{
		"GET HOST/acme/w.git/info/refs?service=git-receive-pack",
		"GET HOST/acme/w.git/INFO/Refs?service=git-receive-pack",
		"GET HOST/acme/w.git/info/%72efs?service=git-receive-pack",
		"GET HOST/acme/w.git/info/refs?service=git%2Dreceive-pack",
		"GET HOST/acme/w.git/info/refs?service=git-upload-pack&service=git-receive-pack",
		"GET HOST/acme/w.git/info/refs?service=git-upload-pack&Service=git-receive-pack",
		"GET HOST/acme/w.git/info/refs?service=git-upload-pack;service=git-receive-pack",
		"GET HOST/acme/w.git/info/refs?service=Git-Upload-Pack",
		"GET HOST/acme/w.git/info/refs?service=",
		"GET HOST/acme/w.git/info/refs?service=%zz",
		"POST HOST/acme/w.git/git-receive-pack",
		"POST HOST/acme/w.git/GIT-RECEIVE-PACK",
		"POST HOST/acme/w.git/git-receive-pack/",
		"POST HOST/acme/x/../w.git//git-receive-pack",
		"GET HOST/acme/w.git/git-receive-pack",
		"POST HOST/acme/w.git/info/lfs/objects/batch",
		"POST HOST/acme/w.git/Info/LFS/objects/batch",
		"PUT HOST/acme/w.git/info/lfs/objects/abc",
		"GET HOST/acme/w.git/info/lfs/locks",
		"POST HOST/acme/w/info/lfs/locks/verify",
		"PUT HOST/acme/w.git/objects/ab/cdef",
		"LOCK HOST/acme/W.GIT/refs/heads/main",
	} {
		if strict, fetch, write := verdicts(t, line); strict || fetch || !write {
			t.Errorf("%s: allowed %v without git, %v with fetch, %v with api_write", line, strict, fetch, write)
		}
	}
}

func TestForgeWrites(t *testing.T) {
	for _, line := range []string{
		"PUT HOST/repos/acme/w/contents/a/b.txt",
		"DELETE HOST/repos/acme/w/contents/a",
		"PUT HOST/REPOS/acme/w/Contents/a",
		"PUT HOST/repos/acme/w/content%73/a",
		"PUT HOST/repositories/123/contents/a",
		"PUT HOST/api/v3/repos/acme/w/contents/a",
		"POST HOST/repos/acme/w/git/refs",
		"PATCH HOST/repos/acme/w/git/refs/heads/main",
		"POST HOST/repos/acme/w/git/commits",
		"POST HOST/repos/acme/w/git/trees",
		"POST HOST/repos/acme/w/git/blobs",
		"POST HOST/repos/acme/w/git/tags",
		"POST HOST/repos/acme/w/merges",
		"POST HOST/repos/acme/w/merge-upstream",
		"POST HOST/repos/acme/w/pulls",
		"PUT HOST/repos/acme/w/pulls/7/merge",
		"PUT HOST/repos/acme/w/pulls/7/update-branch",
		"POST HOST/repos/acme/w/releases",
		"POST HOST/repos/acme/w/releases/1/assets",
		"POST HOST/gists",
		"PATCH HOST/gists/abc",
		"POST HOST/repos/acme/w/forks",
		"POST HOST/user/repos",
		"POST HOST/orgs/acme/repos",
		"PATCH HOST/repos/acme/w",
		"DELETE HOST/repos/acme/w/",
		"put HOST/repos/acme/w/contents/a",
		"PUT HOST/repos/acme/w/actions/secrets/X",
		"POST HOST/repos/acme/w/actions/workflows/ci.yml/dispatches",
		"POST HOST/repos/acme/w/dispatches",
		"POST HOST/repos/acme/w/keys",
		"POST HOST/repos/acme/w/hooks",
		"POST HOST/repos/acme/w/pages",
		"POST HOST/user/keys",
		"POST HOST/api/v4/projects",
		"POST HOST/api/v4/projects.json",
		"POST HOST/api/v4/projects/1/repository/files/a.txt",
		"POST HOST/api/v4/projects/1/repository/commits",
		"POST HOST/api/v4/projects/1/repository/commits.json",
		"POST HOST/api/v4/projects/1/repository/branches",
		"POST HOST/api/v4/projects/1/repository/tags",
		"PUT HOST/api/v4/projects/1/merge_requests/2/merge",
		"POST HOST/api/v4/projects/1/pipeline",
		"POST HOST/api/v4/projects/1/variables",
		"POST HOST/api/v4/projects/1/trigger/pipeline",
		"POST HOST/api/v4/projects/1/triggers",
		"POST HOST/gitlab/api/v4/projects/1/remote_mirrors",
		"POST HOST/api/v1/repos/acme/w/contents/a",
		"POST HOST/api/v1/repos/acme/w/contents",
		"POST HOST/api/v1/repos/acme/w/branches",
		"POST HOST/api/v1/repos/acme/w/git/notes/abc",
		"POST HOST/api/v1/repos/acme/w/diffpatch",
		"POST HOST/api/v1/repos/acme/w/push_mirrors",
		"POST HOST/api/v1/repos/migrate",
		"POST HOST/2.0/repositories/acme/w/src",
		"POST HOST/2.0/repositories/acme/w/refs/branches",
		"POST HOST/2.0/repositories/acme/w/pullrequests/3/merge",
		"POST HOST/2.0/snippets/acme",
		"PUT HOST/rest/api/1.0/projects/P/repos/r/browse/a.txt",
		"POST HOST/acme/_apis/git/repositories/r/pushes",
		"PUT HOST/orgs/acme/memberships/evil",
		"PUT HOST/orgs/acme/teams/t/memberships/evil",
		"POST HOST/orgs/acme/invitations",
		"PUT HOST/orgs/acme/outside_collaborators/evil",
		"PATCH HOST/orgs/acme",
		"PUT HOST/teams/1/memberships/evil",
		"POST HOST/repos/acme/w/check-runs",
		"PATCH HOST/repos/acme/w/check-runs/1",
		"POST HOST/api/v3/repos/acme/w/statuses/abc",
		"PUT HOST/repos/acme/w/automated-security-fixes",
		"DELETE HOST/repos/acme/w/vulnerability-alerts",
		"PATCH HOST/repos/acme/w/properties/values",
		"PATCH HOST/repositories/123/properties/values",
		"PATCH HOST/repos/acme/w/invitations/1",
		"POST HOST/api/v4/projects/1/invitations",
		"POST HOST/api/v4/groups/1/invitations",
		"PUT HOST/api/v4/projects/1/access_requests/2/approve",
		"PUT HOST/api/v4/groups/1/access_requests/2/approve",
		"POST HOST/api/v4/projects/1/job_token_scope/allowlist",
		"PATCH HOST/api/v4/projects/1/job_token_scope",
		"POST HOST/api/v4/projects/1/approval_rules",
		"PUT HOST/api/v4/groups/1/approval_rules/2",
		"DELETE HOST/api/v4/projects/1/merge_requests/2/approval_rules/3",
		"PUT HOST/api/v4/projects/1/packages/generic/p/1.0/f.bin",
		"PUT HOST/api/v4/projects/1/packages/npm/p",
		"DELETE HOST/api/v4/projects/1/packages/7",
		"POST HOST/api/v4/bulk_imports",
		"POST HOST/api/v4/import/github",
		"POST HOST/api/v4/runners",
		"POST HOST/api/v4/user/runners",
		"POST HOST/api/v1/users/me/tokens",
		"PUT HOST/api/v1/teams/1/members/evil",
		"PUT HOST/api/v1/teams/1/repos/acme/w",
		"POST HOST/api/v1/user/applications/oauth2",
		"PATCH HOST/api/v1/user/applications/oauth2/1",
	} {
		if strict, fetch, write := verdicts(t, line); strict || fetch || !write {
			t.Errorf("%s: allowed %v without git, %v with fetch, %v with api_write", line, strict, fetch, write)
		}
	}
}

func TestNoGitNoRefusal(t *testing.T) {
	for _, line := range []string{
		"GET HOST/repos/acme/w/contents/a",
		"HEAD HOST/repos/acme/w/git/refs",
		"OPTIONS HOST/gists",
		"POST HOST/repos/acme/w/issues",
		"POST HOST/repos/acme/w/issues/1/comments",
		"POST HOST/repos/acme/w/pulls/1/reviews",
		"POST HOST/api/v4/projects/1/issues",
		"POST HOST/api/v4/projects/1/merge_requests/2/notes",
		"POST HOST/v1/messages",
		"POST HOST/v1/projects",
		"PUT HOST/bucket/contents/a",
		"GET HOST/acme/git-receive-pack-docs",
		"GET HOST/info/references",
		"GET HOST/acme/w.git/objects/ab/cdef",
		"POST HOST/acme/w.git",
		"GET HOST/orgs/acme/memberships/evil",
		"GET HOST/orgs/acme/invitations",
		"GET HOST/repos/acme/w/check-runs/1",
		"GET HOST/repos/acme/w/statuses/abc",
		"GET HOST/repos/acme/w/properties/values",
		"GET HOST/api/v4/projects/1/invitations",
		"GET HOST/api/v4/projects/1/job_token_scope/allowlist",
		"GET HOST/api/v4/projects/1/packages/generic/p/1.0/f.bin",
		"POST HOST/api/v4/projects/1/packages/npm/-/npm/v1/security/advisories/bulk",
		"GET HOST/api/v4/runners",
		"GET HOST/api/v1/users/me/tokens",
		"GET HOST/api/v1/teams/1/members/evil",
		"POST HOST/v1/teams",
		"POST HOST/v1/runners",
		"GET HOST/graphql/v2?query=%7Bviewer%7Blogin%7D%7D",
		"GET HOST/graphql",
		"GET HOST/graphql?query=%7Bviewer%7Blogin%7D%7D",
		"GET HOST/graphql?query=query($n:Int)%7Bviewer%7Blogin%7D%7D&variables=%7B%22n%22:1%7D&operationName=x",
		"POST HOST/graphql",
	} {
		if strict, fetch, write := verdicts(t, line); !strict || !fetch || !write {
			t.Errorf("%s: allowed %v without git, %v with fetch, %v with api_write", line, strict, fetch, write)
		}
	}
}

func TestGraphQLInTheQuery(t *testing.T) {
	for _, query := range []string{
		"query=mutation%7Ba%7D", "query=%7Ba%7D&query=mutation%7Ba%7D", "Query=mutation%7Ba%7D",
		"query[]=mutation%7Ba%7D", "query=%7B", "extensions=%7B%7D", "documentId=1", "query=%7Ba%7D&id=1", "%zz",
		"a;query=mutation%7Ba%7D",
	} {
		for _, method := range []string{"GET", "POST"} {
			for _, path := range []string{"/api/graphql", "/graphql/v2"} {
				line := method + " HOST" + path + "?" + query
				if strict, fetch, write := verdicts(t, line); strict || fetch || !write {
					t.Errorf("%s: allowed %v without git, %v with fetch, %v with api_write", line, strict, fetch, write)
				}
			}
		}
	}
}

func TestIsGraphQL(t *testing.T) {
	for path, want := range map[canon.Path]bool{
		"/graphql": true, "/api/graphql": true, "/api/graphql/": true, "/API/GraphQL": true, "/graphql.json": true,
		"/graphql/v2": true, "/graphql/V2/": true, "/api/graphql/2026-07": true, "/graphql/v2.json": true,
		"/graphql/schema": false, "/v2": false, "/graphql/v2/docs": false, "/graphql/version": false, "/notgraphql": false, "/": false, "": false,
	} {
		if got := routes.IsGraphQL(path); got != want {
			t.Errorf("IsGraphQL(%q) = %v", path, got)
		}
	}
}

func TestGraphQLWrite(t *testing.T) {
	for _, c := range []struct {
		body  string
		write bool
	}{
		{`{"query":"{viewer{login}}"}`, false},
		{` {"query":"query Q($a:Int!){a(b:$a)}","variables":{"a":1},"operationName":"Q"}` + "\n", false},
		{`{"query":"subscription{a}"}`, false},
		{`{"query":"{mutation createCommitOnBranch}"}`, false},
		{`{"query":"# mutation{a}\n{a(b:\"mutation{c}\")}"}`, false},
		{`{"query":"{a ...F} fragment F on T{b}","extensions":{"clientLibrary":{"name":"x"}}}`, false},
		{`{"query":"{a}","extensions":null}`, false},
		{`[{"query":"{a}"},{"query":"{b}"}]`, false},

		{`{"query":"mutation{createCommitOnBranch(input:{}){clientMutationId}}"}`, true},
		{`{"query":"\u006dutation{a}"}`, true},
		{`{"query":"query A{a} mutation B{b}","operationName":"A"}`, true},
		{`{"query":"#\rmutation{a}"}`, true},
		{`{"query":",,,mutation{a}"}`, true},
		{`{"query":"\ufeffmutation{a}"}`, true},
		{`[{"query":"{a}"},{"query":"mutation{b}"}]`, true},
		{`{"query":"{a}","query":"mutation{b}"}`, true},
		{`{"query":"{a}","Query":"mutation{b}"}`, true},
		{`{"query":"{a}","documentId":"1"}`, true},
		{`{"query":"{a}","extensions":{"persistedQuery":{"sha256Hash":"x"}}}`, true},
		{`{"query":"{a}","extensions":[]}`, true},
		{`{"extensions":{"persistedQuery":{"sha256Hash":"x"}}}`, true},
		{`{"operationName":"Q"}`, true},
		{`{"query":null}`, true},
		{`{"query":""}`, true},
		{`{"query":["{a}"]}`, true},
		{`{"query":"fragment F on T{b}"}`, true},
		{`{"query":"{a"}`, true},
		{`{"query":"{a}"} {"query":"mutation{a}"}`, true},
		{`{"query":"{a}"}x`, true},
		{`[]`, true},
		{`[[{"query":"{a}"}]]`, true},
		{`"{a}"`, true},
		{`{a}`, true},
		{``, true},
		{"{\"query\":\"{a}\xff\"}", true},
		{`{"query":"` + strings.Repeat("{a", 100000) + `"}`, true},
		{`{"query":"{` + strings.Repeat("a ", 30000) + `}"}`, true},
	} {
		h := http.Header{"Content-Type": {"application/json"}}
		if got := routes.GraphQLWrite(h, []byte(c.body)); got != c.write {
			t.Errorf("%.80s: write %v", c.body, got)
		}
	}
}

func TestGraphQLWriteHeaders(t *testing.T) {
	body := []byte(`{"query":"{a}"}`)
	for _, c := range []struct {
		header http.Header
		write  bool
	}{
		{http.Header{"Content-Type": {"application/json; charset=UTF-8"}}, false},
		{http.Header{}, true},
		{http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, true},
		{http.Header{"Content-Type": {"application/graphql"}}, true},
		{http.Header{"Content-Type": {"application/json; charset=utf-16"}}, true},
		{http.Header{"Content-Type": {"application/json", "text/plain"}}, true},
		{http.Header{"Content-Type": {"application/json, text/plain"}}, true},
		{http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, true},
	} {
		if got := routes.GraphQLWrite(c.header, body); got != c.write {
			t.Errorf("%v: write %v", c.header, got)
		}
	}
}
