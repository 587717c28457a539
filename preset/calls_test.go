package preset_test

import (
	"strings"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/preset"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// TestCalls has the calls that programs make, as they were seen, and calls
// beside them that a preset must not open.
func TestCalls(t *testing.T) {
	for name, calls := range map[string]struct{ open, closed string }{
		"anthropic": {`
			POST https://api.anthropic.com/v1/messages?beta=true
			POST https://api.anthropic.com/v1/messages/count_tokens
			GET https://api.anthropic.com/v1/models
			GET https://api.anthropic.com/api/claude_code/settings
			GET https://api.anthropic.com/api/claude_code/policy_limits
			HEAD https://api.anthropic.com/api/hello`, `
			GET https://api.anthropic.com/v1/messages/batches
			POST https://api.anthropic.com/v1/files
			GET https://api.anthropic.com/v1/files
			POST https://api.anthropic.com/v1/organizations/api_keys
			POST https://api.anthropic.com/v1/sessions
			POST https://api.anthropic.com/api/event_logging/v2/batch
			GET https://api.anthropic.com/api/oauth/profile
			DELETE https://api.anthropic.com/v1/messages/batches/x
			GET https://console.anthropic.com/`},
		"openai": {`
			POST https://api.openai.com/v1/responses
			POST https://api.openai.com/v1/responses/compact
			POST https://api.openai.com/v1/chat/completions
			GET https://api.openai.com/v1/models`, `
			GET https://api.openai.com/v1/responses/resp_1
			POST https://api.openai.com/v1/files
			GET https://api.openai.com/v1/files
			POST https://api.openai.com/v1/fine_tuning/jobs
			POST https://api.openai.com/v1/containers
			GET https://chatgpt.com/backend-api/ps/plugins/list`},
		"github": {`
			GET https://github.com/acme/widgets.git/info/refs?service=git-upload-pack
			POST https://github.com/acme/widgets.git/git-upload-pack
			GET https://github.com/acme/widgets/releases/download/v1/widgets.tar.gz
			GET https://api.github.com/repos/acme/widgets/contents/go.mod
			GET https://raw.githubusercontent.com/acme/widgets/main/go.mod
			GET https://codeload.github.com/acme/widgets/tar.gz/refs/heads/main`, `
			GET https://github.com/acme/widgets.git/info/refs?service=git-receive-pack
			POST https://github.com/acme/widgets.git/git-receive-pack
			POST https://github.com/acme/widgets.git/info/lfs/objects/batch
			POST https://github.com/login/device/code
			POST https://github.com/session
			POST https://api.github.com/graphql
			POST https://api.github.com/gists
			PUT https://api.github.com/repos/acme/widgets/contents/go.mod
			POST https://uploads.github.com/repos/acme/widgets/releases/1/assets
			GET https://gist.github.com/`},
		"npm": {`
			GET https://registry.npmjs.org/left-pad
			GET https://registry.npmjs.org/@types%2fnode
			GET https://registry.npmjs.org/@types/node/-/node-20.0.0.tgz`, `
			POST https://registry.npmjs.org/-/npm/v1/security/advisories/bulk
			PUT https://registry.npmjs.org/@types%2fnode
			PUT https://registry.npmjs.org/-/user/org.couchdb.user:me`},
		"pypi": {`
			GET https://pypi.org/simple/six/
			GET https://pypi.org/pypi/six/json
			GET https://files.pythonhosted.org/packages/b7/ce/six-1.17.0-py2.py3-none-any.whl`, `
			POST https://pypi.org/simple/
			POST https://upload.pypi.org/legacy/
			GET https://pypi.org/manage/projects/`},
		"golang": {`
			GET https://proxy.golang.org/golang.org/x/sync/@v/v0.7.0.zip
			GET https://proxy.golang.org/golang.org/toolchain/@v/v0.0.1-go1.26.8.linux-amd64.zip
			GET https://sum.golang.org/lookup/golang.org/x/sync@v0.7.0
			GET https://sum.golang.org/tile/8/0/x123/456`, `
			POST https://proxy.golang.org/golang.org/x/sync/@v/v0.7.0.zip
			GET https://goproxy.io/golang.org/x/sync/@v/list`},
		"debian": {`
			GET http://deb.debian.org/debian/dists/bookworm/InRelease
			GET https://deb.debian.org/debian/pool/main/h/hello/hello_2.10-3_amd64.deb
			GET http://security.debian.org/debian-security/dists/bookworm-security/InRelease`, `
			POST http://deb.debian.org/debian/dists/bookworm/InRelease
			GET https://ftp.debian.org/debian/`},
	} {
		p, err := preset.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		table, err := routes.New(p.Routes)
		if err != nil {
			t.Fatal(err)
		}
		for text, open := range map[string]bool{calls.open: true, calls.closed: false} {
			for line := range strings.Lines(strings.TrimSpace(text)) {
				line = strings.TrimSpace(line)
				if _, d := table.Decide(request(t, line), time.Time{}, nil); d.Allow != open {
					t.Errorf("%s: %s: %+v", name, line, d)
				}
			}
		}
	}
}

// request reads "METHOD URL".
func request(t *testing.T, line string) routes.Request {
	t.Helper()
	method, url, _ := strings.Cut(line, " ")
	scheme, rest, _ := strings.Cut(url, "://")
	host, path, _ := strings.Cut(rest, "/")
	path, query, _ := strings.Cut("/"+path, "?")
	port := uint16(443)
	if scheme == "http" {
		port = 80
	}
	authority, err := canon.ParseAuthority(host, port)
	if err != nil {
		t.Fatal(err)
	}
	r := routes.Request{Method: method, Authority: authority, RawQuery: query, Plain: scheme == "http"}
	if r.Path, r.Sent, err = canon.ParseSlashedPath(path); err != nil {
		t.Fatal(err)
	}
	return r
}
