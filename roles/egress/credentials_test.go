package egress

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/policy"
)

const (
	withToken  = "auth: {scheme: Bearer, token_env: EGRESS_TOKEN_1}"
	withAPIKey = "auth: {token_env: EGRESS_TOKEN_1, header: X-Custom-Key}"
)

func TestListsAreSorted(t *testing.T) {
	if !slices.IsSorted(credentialHeaders) || !slices.IsSorted(credentialNames) {
		t.Error("a list that is searched by halves is not sorted")
	}
}

func TestOnlyTheOperatorsCredentialArrives(t *testing.T) {
	l := newLab(t, route("api.test", withToken)+route("other.test")+route("a.wild.test", "agent_auth: true")+route("b.wild.test", withAPIKey))
	own := []string{"Authorization", "Proxy-Authorization", "X-Api-Key", "x_api_key", "Api-Key", "X-Goog-Api-Key", "Private-Token", "PRIVATE_TOKEN", "X-Custom-Key", "X_CUSTOM_KEY", "X-Vault-Token"}
	for _, h2 := range []bool{false, true} {
		client := l.client(h2)
		ask := func(host string) arrived {
			r, _ := http.NewRequest("GET", "https://"+host+"/", nil)
			for _, name := range own {
				r.Header[name] = []string{"the-agents-own"}
			}
			r.Header.Set("X-Harmless", "stays")
			if !h2 {
				r.Header.Set("Connection", "X-Hop")
				r.Header.Set("X-Hop", "goes")
			}
			a, err := l.do(client, r)
			if err != nil {
				t.Fatal(err)
			}
			got := l.wantThrough(host, a)
			if got.header.Get("X-Harmless") != "stays" || got.header.Get("X-Hop") != "" {
				t.Errorf("%s: the harmless header was lost, or the hop's was not", host)
			}
			return got
		}
		if got := ask("api.test"); got.header.Get("Authorization") != "Bearer "+secretToken {
			t.Errorf("the route's credential is %q", got.header.Get("Authorization"))
		} else if n := count(got.header, "the-agents-own"); n != 2 {
			t.Errorf("%d of the agent's own headers arrived beside the injected one: %v", n, got.header)
		}
		if got := ask("other.test"); count(got.header, "the-agents-own") != 2 || got.header.Get("Authorization") != "" {
			t.Errorf("credentials without a route for them arrived: %v", got.header) // the two of X-Custom-Key are nobody's
		}
		if got := ask("a.wild.test"); count(got.header, "the-agents-own") != len(own)-1 || got.header["Proxy-Authorization"] != nil {
			t.Errorf("agent_auth: the agent's own did not arrive: %v", got.header)
		}
		if got := ask("b.wild.test"); got.header.Get("X-Custom-Key") != secretToken || count(got.header, "the-agents-own") != 0 {
			t.Errorf("the custom header: %v", got.header)
		}
	}
}

// TestCredentialHeaders tells them from headers that only look alike.
func TestCredentialHeaders(t *testing.T) {
	l := newLab(t, route("api.test")+route("other.test", "agent_auth: true"))
	ours := []string{
		"X-Figma-Token", "X-Redmine-API-Key", "X-Api-Secret", "X-Auth", "X-Auth-Token", "X-Access-Token",
		"X-Amz-Security-Token", "X_AUTH_TOKEN", "ApiKey", "Api-Key", "X-NuGet-ApiKey", "My-Secret-Key-Id", "X-Gitlab-Token",
		"X-Acme-Access-Token-V2", "Private-Token", "JOB-TOKEN",
	}
	harmless := []string{"X-Csrf-Token", "X-XSRF-TOKEN", "X-Request-Id", "X-Keyboard", "X-Tokens", "Idempotency-Key", "Cookie", "Mcp-Session-Id"}
	for _, name := range ours {
		got := l.wantThrough(name, l.ask("GET", "https://api.test/", "", header(name, "own")))
		if count(got.header, "own") != 0 {
			t.Errorf("%s arrived", name)
		}
		got = l.wantThrough(name, l.ask("GET", "https://other.test/", "", header(name, "own")))
		if count(got.header, "own") != 1 {
			t.Errorf("%s did not arrive where the agent's own may pass", name)
		}
	}
	for _, name := range harmless {
		got := l.wantThrough(name, l.ask("GET", "https://api.test/", "", header(name, "own")))
		if count(got.header, "own") != 1 {
			t.Errorf("%s did not arrive", name)
		}
	}
}

func count(h http.Header, value string) (n int) {
	for _, values := range h {
		for _, v := range values {
			if v == value {
				n++
			}
		}
	}
	return n
}

func TestCredentialInTheURL(t *testing.T) {
	l := newLab(t, route("api.test")+route("api.test", "ports: [80]")+route("other.test", "agent_auth: true"))
	for _, query := range []string{
		"access_token=abc", "a=b&ACCESS_TOKEN=abc", "a=b;api_key=abc", "private_token=abc", "X-Amz-Signature=abc",
		"%61ccess_token=abc", "access%5ftoken=abc", "key=AIzaSyA1234567890", "token=abc", "jwt=" + "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.Qm3xT8vKc1Ws6Zp0Yh5Rn2Jd9L&x=1", "access_token",
	} {
		l.wantBlock(query, l.ask("GET", "https://api.test/?"+query, ""), policy.Secret)
		l.wantThrough(query, l.ask("GET", "https://other.test/?"+query, ""))
	}
	for _, query := range []string{"key=value", "page_token=CAUQAA3k9dK2lQ8Z", "pageToken=CAUQAA3k9dK2lQ8Z", "tokens=3", "q=access_token", "sig=short", ""} {
		if got := l.wantThrough(query, l.ask("GET", "https://api.test/x?"+query, "")); got.target != "/x?"+query {
			t.Errorf("%q arrived as %q", query, got.target)
		}
	}
	conn, _ := l.connect("api.test:443") // opened before, so that the next is a request of its own
	conn.Close()
	raw := "GET http://user:password@api.test/ HTTP/1.1\r\nHost: api.test\r\n\r\n"
	l.wantBlock("userinfo", sayTo(t, dialProxy(l), raw), policy.Malformed)
	if len(l.verdicts("password@")) > 0 {
		t.Error("a password is in the audit log")
	}
}

func TestCredentialMissing(t *testing.T) {
	l := newLab(t, route("api.test", withToken), func(c *Config) { c.Tokens = map[string]string{"EGRESS_TOKEN_1": ""} })
	l.wantBlock("empty token", l.ask("GET", "https://api.test/", ""), policy.CredentialMissing)
	short := newLab(t, route("api.test", withToken), func(c *Config) { c.Tokens = map[string]string{"EGRESS_TOKEN_1": "abc"} })
	short.wantBlock("a token too short to be recognised", short.ask("GET", "https://api.test/", ""), policy.CredentialMissing)
	split := newLab(t, route("api.test", withToken), func(c *Config) { c.Tokens = map[string]string{"EGRESS_TOKEN_1": "abcdefgh\r\nX-Evil: 1"} })
	split.wantBlock("a token with a line end", split.ask("GET", "https://api.test/", ""), policy.CredentialMissing)
	set := newLab(t, route("api.test", withToken))
	set.wantThrough("set", set.ask("GET", "https://api.test/", ""))
}

func TestBasicIsEncoded(t *testing.T) {
	l := newLab(t, route("api.test", "auth: {scheme: Basic, token_env: EGRESS_TOKEN_1}"), func(c *Config) {
		c.Tokens = map[string]string{"EGRESS_TOKEN_1": "user:" + secretToken}
	})
	got := l.wantThrough("basic", l.ask("GET", "https://api.test/", ""))
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+secretToken)); got.header.Get("Authorization") != want {
		t.Errorf("got %q, want %q", got.header.Get("Authorization"), want)
	}
}

// TestEcho: whatever an origin answers, the agent does not learn the credential.
func TestEcho(t *testing.T) {
	l := newLab(t, route("api.test", withToken)+route("other.test"))
	padding := strings.Repeat("padding ", 20_000)
	answers := map[string]http.HandlerFunc{
		"body":   func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "you sent "+r.Header.Get("Authorization")) },
		"header": func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Echo", r.Header.Get("Authorization")) },
		"late":   func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, padding, r.Header.Get("Authorization")) },
		"base64": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, base64.StdEncoding.EncodeToString([]byte("x"+secretToken)))
		},
		"hex": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, hex.EncodeToString([]byte(secretToken))) },
		"percent": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.ReplaceAll(secretToken, "-", "%2D"))
		},
		"split": func(w http.ResponseWriter, _ *http.Request) {
			for _, c := range secretToken {
				fmt.Fprint(w, string(c))
				w.(http.Flusher).Flush()
			}
		},
		"trailer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Echo")
			fmt.Fprint(w, "body")
			w.Header().Set("X-Echo", secretToken)
		},
		"announced trailer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-"+hex.EncodeToString([]byte(secretToken)))
			fmt.Fprint(w, "body")
		},
		"header name": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-"+secretToken, "y") },
		"trailer name": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "body")
			w.(http.Flusher).Flush()
			w.Header().Set(http.TrailerPrefix+secretToken, "y")
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/?t="+secretToken, http.StatusFound)
		},
		"error": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "bad token "+secretToken, http.StatusUnauthorized)
		},
		"gzip": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			fmt.Fprint(z, secretToken)
			z.Close()
		},
	}
	for name, handler := range answers {
		for _, h2 := range []bool{false, true} {
			l.origin.handler = handler
			r, _ := http.NewRequest("GET", "https://api.test/", nil)
			r.Header.Set("Accept-Encoding", "gzip")
			r.Header.Set("Range", "bytes=3-")
			a, err := l.do(l.client(h2), r)
			if err == nil && a.status != http.StatusBadGateway {
				t.Errorf("%s: the answer came through: %d %.200s", name, a.status, a.body)
			}
			seen := strings.ToLower(fmt.Sprint(a))
			if strings.Contains(seen, secretToken) || strings.Contains(seen, "7c51d2e84b60") || strings.Contains(seen, hex.EncodeToString([]byte(secretToken))) {
				t.Errorf("%s: the agent saw the credential", name)
			}
			for _, got := range l.origin.all() {
				if got.header.Get("Accept-Encoding") != "identity" || got.header.Get("Range") != "" {
					t.Errorf("%s: the origin was asked with %v", name, got.header)
				}
			}
			// The same answers pass where no credential was injected.
			a, err = l.do(l.client(h2), must(http.NewRequest("GET", "https://other.test/", nil))(t))
			if err != nil || a.status == http.StatusBadGateway {
				t.Errorf("%s: control: %d %v", name, a.status, err)
			}
			l.origin.all()
		}
	}
	l.origin.handler = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://elsewhere.test/", http.StatusFound)
	}
	if a := l.ask("GET", "https://api.test/", ""); a.status != 302 || a.header.Get("Location") != "https://elsewhere.test/" {
		t.Errorf("a redirect is passed on, got %d %v", a.status, a.header)
	}
	if got := l.origin.all(); len(got) != 1 {
		t.Errorf("the redirect was followed: %v", got)
	}
}

// TestPasswordIsNotEchoed: of a credential for Basic the password is a secret
// by itself, also where the operator gave both encoded.
func TestPasswordIsNotEchoed(t *testing.T) {
	const password = "R4nd0mPassw0rdValue88xyz"
	for name, credential := range map[string]string{
		"plain": "x-access-token:" + password, "encoded": base64.StdEncoding.EncodeToString([]byte("x-access-token:" + password)),
	} {
		l := newLab(t, route("api.test", "auth: {scheme: Basic, token_env: EGRESS_TOKEN_1}")+route("other.test"), func(c *Config) {
			c.Tokens = map[string]string{"EGRESS_TOKEN_1": credential}
		})
		l.origin.handler = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "x-access-token") }
		if a := l.ask("GET", "https://api.test/", ""); a.status != http.StatusOK {
			t.Errorf("%s: control: the user's name: %d %s", name, a.status, a.body)
		}
		for form, text := range map[string]string{
			"password": `{"password":"` + password + `"}`, "hex": hex.EncodeToString([]byte(password)), "both": `["x-access-token:` + password + `"]`,
		} {
			for place, handler := range map[string]http.HandlerFunc{
				"body":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) },
				"header": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Location", "/?"+text) },
				"trailer": func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Trailer", "X-Echo")
					fmt.Fprint(w, "body")
					w.Header().Set("X-Echo", text)
				},
			} {
				l.origin.handler = handler
				a, err := l.do(l.client(false), must(http.NewRequest("GET", "https://api.test/", nil))(t))
				if err == nil && a.status != http.StatusBadGateway {
					t.Errorf("%s, %s in %s: the answer came through: %d %s", name, form, place, a.status, a.body)
				}
				if a, err := l.do(l.client(false), must(http.NewRequest("GET", "https://other.test/", nil))(t)); err != nil || a.status != http.StatusOK {
					t.Errorf("%s, %s in %s: control: %d %v", name, form, place, a.status, err)
				}
			}
		}
	}
}
