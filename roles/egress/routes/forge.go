package routes

import "strings"

// forgeWrites are the REST calls of forges that change what repositories
// hold, who may change it, or what runs because of it; methods that only read
// are not asked. "*" is one segment, "/**" anything below or nothing. A
// pattern may start at any segment, for the prefixes of forges differ
// (/api/v3, /api/v1, /api/v4, /2.0). Talk (issues, comments, reviews) is not
// among them.
const forgeWrites = `
# GitHub, Gitea and Forgejo, by name and by number
repos/*/*
repositories/*
{repos/*/*,repositories/*}/actions/**
{repos/*/*,repositories/*}/attestations/**
{repos/*/*,repositories/*}/automated-security-fixes
{repos/*/*,repositories/*}/branch_protections/**
{repos/*/*,repositories/*}/branches/**
{repos/*/*,repositories/*}/check-runs/**
{repos/*/*,repositories/*}/check-suites/**
{repos/*/*,repositories/*}/code-scanning/**
{repos/*/*,repositories/*}/codespaces/**
{repos/*/*,repositories/*}/collaborators/**
{repos/*/*,repositories/*}/contents/**
{repos/*/*,repositories/*}/dependabot/**
{repos/*/*,repositories/*}/deployments/**
{repos/*/*,repositories/*}/diffpatch
{repos/*/*,repositories/*}/dispatches
{repos/*/*,repositories/*}/environments/**
{repos/*/*,repositories/*}/forks
{repos/*/*,repositories/*}/generate
{repos/*/*,repositories/*}/git/**
{repos/*/*,repositories/*}/hooks/**
{repos/*/*,repositories/*}/import/**
{repos/*/*,repositories/*}/invitations/**
{repos/*/*,repositories/*}/keys/**
{repos/*/*,repositories/*}/lfs
{repos/*/*,repositories/*}/merge-upstream
{repos/*/*,repositories/*}/merges
{repos/*/*,repositories/*}/mirror-sync
{repos/*/*,repositories/*}/pages/**
{repos/*/*,repositories/*}/private-vulnerability-reporting
{repos/*/*,repositories/*}/properties/**
{repos/*/*,repositories/*}/pulls
{repos/*/*,repositories/*}/pulls/*
{repos/*/*,repositories/*}/pulls/*/codespaces
{repos/*/*,repositories/*}/pulls/*/merge
{repos/*/*,repositories/*}/pulls/*/update
{repos/*/*,repositories/*}/pulls/*/update-branch
{repos/*/*,repositories/*}/push_mirrors/**
{repos/*/*,repositories/*}/push_mirrors-sync
{repos/*/*,repositories/*}/releases/**
{repos/*/*,repositories/*}/rulesets/**
{repos/*/*,repositories/*}/secret-scanning/**
{repos/*/*,repositories/*}/statuses/*
{repos/*/*,repositories/*}/sync_fork/**
{repos/*/*,repositories/*}/tag_protections/**
{repos/*/*,repositories/*}/tags/**
{repos/*/*,repositories/*}/teams/**
{repos/*/*,repositories/*}/transfer/**
{repos/*/*,repositories/*}/vulnerability-alerts
{repos/*/*,repositories/*}/wiki/**
repos/migrate
user/repos
user/keys/**
user/gpg_keys/**
user/ssh_signing_keys/**
user/hooks/**
user/actions/**
user/applications/oauth2/**
user/codespaces/**
user/memberships/**
user/repository_invitations/**
users/*/repos
users/*/tokens/**
orgs/*
{org,orgs}/*/repos
{org,orgs}/*/actions/**
{org,orgs}/*/codespaces/**
{org,orgs}/*/dependabot/**
{org,orgs}/*/hooks/**
{org,orgs}/*/invitations/**
{org,orgs}/*/members/**
{org,orgs}/*/memberships/**
{org,orgs}/*/outside_collaborators/**
{org,orgs}/*/properties/**
{org,orgs}/*/public_members/**
{org,orgs}/*/rulesets/**
{org,orgs}/*/teams/**
teams/*/{members,memberships,repos}/**
admin/users/*/keys/**
admin/users/*/repos
gists/**

# GitLab
api/v4/{projects,groups,snippets}
api/v4/{projects,groups}/*
api/v4/projects/user/*
api/v4/{projects,groups}/import
api/v4/projects/remote-import
api/v4/{bulk_imports,import,jobs,runners,user/runners}/**
api/v4/{projects,groups}/*/access_requests/**
api/v4/{projects,groups}/*/access_tokens/**
api/v4/{projects,groups}/*/approval_rules/**
api/v4/{projects,groups}/*/deploy_keys/**
api/v4/{projects,groups}/*/deploy_tokens/**
api/v4/{projects,groups}/*/hooks/**
api/v4/{projects,groups}/*/integrations/**
api/v4/{projects,groups}/*/invitations/**
api/v4/{projects,groups}/*/members/**
api/v4/{projects,groups}/*/runners/**
api/v4/{projects,groups}/*/share/**
api/v4/{projects,groups}/*/transfer
api/v4/{projects,groups}/*/variables/**
api/v4/{projects,groups}/*/wikis/**
api/v4/projects/*/approvals
api/v4/projects/*/cluster_agents/**
api/v4/projects/*/environments/**
api/v4/projects/*/fork/**
api/v4/projects/*/job_token_scope/**
api/v4/projects/*/jobs/**
api/v4/projects/*/merge_requests
api/v4/projects/*/merge_requests/*
api/v4/projects/*/merge_requests/*/{approval_rules,approvals}/**
api/v4/projects/*/merge_requests/*/merge
api/v4/projects/*/merge_requests/*/pipelines
api/v4/projects/*/merge_requests/*/rebase
api/v4/projects/*/mirror/**
api/v4/projects/*/packages/*
api/v4/projects/*/packages/{composer,conan,debian,generic,go,helm,maven,ml_models,nuget,pypi,rpm,rubygems,terraform}/**
api/v4/projects/*/packages/npm/*
api/v4/projects/*/packages/npm/*/*
api/v4/projects/*/packages/npm/-/package/**
api/v4/projects/*/pages/**
api/v4/projects/*/pipeline
api/v4/projects/*/pipeline_schedules/**
api/v4/projects/*/pipelines/**
api/v4/projects/*/protected_branches/**
api/v4/projects/*/protected_environments/**
api/v4/projects/*/protected_tags/**
api/v4/projects/*/push_rule
api/v4/projects/*/ref/**
api/v4/projects/*/releases/**
api/v4/projects/*/remote_mirrors/**
api/v4/projects/*/repository/**
api/v4/projects/*/secure_files/**
api/v4/projects/*/snippets/**
api/v4/projects/*/trigger/**
api/v4/projects/*/triggers/**
api/v4/snippets/**
api/v4/{user,users/*}/{keys,gpg_keys,personal_access_tokens}/**
api/v4/personal_access_tokens/**
api/v4/admin/**

# Bitbucket Cloud
repositories/*/*
repositories/*/*/branch-restrictions/**
repositories/*/*/deploy-keys/**
repositories/*/*/deployments_config/**
repositories/*/*/downloads/**
repositories/*/*/environments/**
repositories/*/*/forks
repositories/*/*/hooks/**
repositories/*/*/permissions-config/**
repositories/*/*/pipelines/**
repositories/*/*/pipelines_config/**
repositories/*/*/pullrequests
repositories/*/*/pullrequests/*
repositories/*/*/pullrequests/*/merge
repositories/*/*/refs/**
repositories/*/*/src/**
workspaces/*/hooks/**
workspaces/*/pipelines-config/**
snippets/**

# Bitbucket Data Center
projects/*/repos
projects/*/repos/*
projects/*/repos/*/branches/**
projects/*/repos/*/browse/**
projects/*/repos/*/pull-requests
projects/*/repos/*/pull-requests/*
projects/*/repos/*/pull-requests/*/merge
projects/*/repos/*/pull-requests/*/rebase
projects/*/repos/*/tags/**
projects/*/repos/*/webhooks/**
rest/branch-utils/**
rest/git/**
rest/keys/**
rest/ssh/**

# Azure DevOps
_apis/git/repositories
_apis/git/repositories/*
_apis/git/repositories/*/{annotatedtags,cherrypicks,importrequests,merges,pushes,refs,reverts}/**
_apis/git/repositories/*/pullrequests
_apis/git/repositories/*/pullrequests/*
_apis/build/**
_apis/distributedtask/**
_apis/hooks/**
_apis/pipelines/**
_apis/release/**
`

// forgePatterns holds forgeWrites by first segment.
var forgePatterns = compileForge(forgeWrites)

func compileForge(text string) map[string][][]string {
	patterns := make(map[string][][]string)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		for _, pattern := range expand(line) {
			segments := strings.Split(pattern, "/")
			patterns[segments[0]] = append(patterns[segments[0]], segments[1:])
		}
	}
	return patterns
}

// expand writes out the alternatives of {a,b}.
func expand(pattern string) []string {
	before, rest, ok := strings.Cut(pattern, "{")
	if !ok {
		return []string{pattern}
	}
	inside, after, _ := strings.Cut(rest, "}")
	var all []string
	for option := range strings.SplitSeq(inside, ",") {
		all = append(all, expand(before+option+after)...)
	}
	return all
}

// forgeWrite reports whether a pattern fits the path, which has no trailing
// slash, from any of its segments to its end.
func forgeWrite(path string) bool {
	for rest, ok := strings.CutPrefix(path, "/"); ok; {
		var segment string
		segment, rest, ok = strings.Cut(rest, "/")
		if !ok {
			segment = withoutFormat(segment)
		}
		for _, pattern := range forgePatterns[strings.ToLower(segment)] {
			if fits(pattern, rest, ok) {
				return true
			}
		}
	}
	return false
}

// fits reports whether the pattern fits the rest of a path; more says that
// there is a rest.
func fits(pattern []string, rest string, more bool) bool {
	for _, want := range pattern {
		if want == "**" {
			return true
		}
		if !more {
			return false
		}
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if !more {
			segment = withoutFormat(segment)
		}
		if want != "*" && !strings.EqualFold(want, segment) {
			return false
		}
	}
	return !more
}
