package gitgate

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/internal/pkitest"
)

const token = "ghp-like-token-of-the-upstream"

// startHTTPS runs git's own server program behind TLS, and lets in who has the
// token.
func startHTTPS(t *testing.T, root string, ca *pkitest.CA) (url string) {
	t.Helper()
	certificate, err := ca.TLS("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a redirect was followed")
	}))
	t.Cleanup(elsewhere.Close)
	backend := &cgi.Handler{
		Path: "/usr/lib/git-core/git-http-backend",
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=x"},
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if _, password, ok := q.BasicAuth(); !ok || password != token {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		if strings.HasPrefix(q.URL.Path, "/moved.git/") {
			http.Redirect(w, q, elsewhere.URL, http.StatusTemporaryRedirect)
			return
		}
		q.Header.Del("Authorization")
		backend.ServeHTTP(w, q)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func TestHTTPSUpstream(t *testing.T) {
	t.Parallel()
	ca, err := pkitest.New("forge")
	if err != nil {
		t.Fatal(err)
	}
	start := func(t *testing.T, tokens map[string]string, client *http.Client) *gate {
		return startGateWith(t, "", nil, func(c *Config) {
			// The same repository, by HTTPS instead of SSH.
			root := filepath.Dir(c.ConfigPath)
			git(t, filepath.Join(root, "widgets.git"), "config", "http.receivepack", "true")
			config := fmt.Sprintf("repos:\n  widgets:\n    url: %s/widgets.git\n    token_env: EGRESS_TOKEN_1\n", startHTTPS(t, root, ca))
			config += strings.ReplaceAll(strings.TrimPrefix(config, "repos:\n"), "widgets", "moved")
			if err := os.WriteFile(c.ConfigPath, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			c.Tokens, c.HTTPClient = tokens, client
		})
	}
	trusting := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}}
	g := start(t, map[string]string{"EGRESS_TOKEN_1": token}, trusting)
	for _, version := range []string{"0", "2"} {
		dir := filepath.Join(t.TempDir(), "clone")
		git(t, "", "-c", "protocol.version="+version, "clone", "-q", "--depth=1", g.url, dir)
		git(t, dir, "-c", "protocol.version="+version, "fetch", "-q", "--unshallow")
		commit(t, dir, map[string]string{"a" + version: "text"})
		g.passes(t, dir, "HEAD:refs/heads/main")
		commit(t, dir, map[string]string{"b": secret})
		g.refuses(t, dir, "known-secret in b line 1", "HEAD:refs/heads/main")
		git(t, dir, "reset", "-q", "--hard", "HEAD~1")
		commit(t, dir, map[string]string{"Jenkinsfile": "x"})
		g.refuses(t, dir, "refused: ci-path", "HEAD:refs/heads/main")
	}

	if out, err := tryGit(t, "", "ls-remote", g.base+"/moved.git"); err == nil || !strings.Contains(out, "307") {
		t.Errorf("a redirect: %v %s", err, out)
	}

	for name, g := range map[string]*gate{
		"401":         start(t, map[string]string{"EGRESS_TOKEN_1": "not-the-right-token"}, trusting),
		"certificate": start(t, map[string]string{"EGRESS_TOKEN_1": token}, nil),
	} {
		out, err := tryGit(t, "", "ls-remote", g.url)
		if err == nil || !strings.Contains(out, name) || strings.Contains(out, token) {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
}
