package egress

import (
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/claude-bottle/claude-bottle/policy"
)

// strip takes off what must not reach the origin: the headers of the hop and
// the agent's credentials. A credential in the query is refused, because a
// query cannot be changed and still be what was decided on.
func strip(x *exchange) *policy.Decision {
	h := x.in.Header
	stripHop(h, x.webSocket)
	for name := range h {
		// Proxy-Authorization was for this hop, also where the agent's own pass.
		if folded := foldedName(name); folded == "proxy-authorization" || slices.Contains(overridingHeaders, folded) {
			delete(h, name)
		}
	}
	if x.webSocket {
		// Without extensions every frame can be read.
		h.Del("Sec-Websocket-Extensions")
		x.key.replace(h)
	}
	if x.route.Auth != nil {
		// The response must be readable as it passes, and whole.
		h["Accept-Encoding"] = []string{"identity"}
		h.Del("Range")
		h.Del("If-Range")
		injected := foldedName(injectedHeader(x.route))
		for name := range h {
			if foldedName(name) == injected {
				delete(h, name)
			}
		}
	}
	if x.route.AgentAuth {
		return nil
	}
	for name := range h {
		if credentialHeader(name) {
			delete(h, name)
		}
	}
	if x.query == "" {
		return nil
	}
	// Some servers split a query at ';' too.
	for pair := range strings.FieldsFuncSeq(x.query, func(r rune) bool { return r == '&' || r == ';' }) {
		if name, value, _ := strings.Cut(pair, "="); credentialQuery(name, value) {
			return x.block(policy.Secret, "the query parameter "+name+" carries a credential", "send the request without it: the operator's credential is added where a route has one")
		}
	}
	return nil
}

// hopHeaders belong to one connection, RFC 9110, section 7.6.1, and its
// forebears.
var hopHeaders = []string{
	"Connection", "Http2-Settings", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// stripHop removes a request's or response's headers of the hop. What a change
// to WebSocket needs is kept when asked for.
func stripHop(h http.Header, webSocket bool) {
	trailers := httpguts.HeaderValuesContainsToken(h["Te"], "trailers")
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopHeaders {
		delete(h, name)
	}
	if trailers {
		h["Te"] = []string{"trailers"}
	}
	if webSocket {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	}
}

// overridingHeaders make some servers answer another request than the one in
// the request line, which is the one that was decided on.
var overridingHeaders = []string{
	"forwarded", "x-forwarded-host", "x-forwarded-path", "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-proto",
	"x-forwarded-server", "x-forwarded-uri", "x-host", "x-http-host-override", "x-http-method", "x-http-method-override",
	"x-method-override", "x-original-host", "x-original-method", "x-original-uri", "x-original-url", "x-rewrite-url",
}

// credentialHeaders are the headers that services take an account's credential
// from, in lower case with '-' for '_'.
var credentialHeaders = []string{
	"anthropic-api-key", "api-key", "api-token", "apikey", "authorization", "cf-access-client-id",
	"cf-access-client-secret", "circle-token", "dd-api-key", "dd-application-key", "deploy-token",
	"fastly-key", "job-token", "ocp-apim-subscription-key", "openai-api-key", "private-token",
	"proxy-authorization", "token", "x-access-token", "x-amz-security-token", "x-api-key",
	"x-api-token", "x-apikey", "x-app-token", "x-auth-email", "x-auth-key", "x-auth-token",
	"x-authorization", "x-forwarded-authorization", "x-github-token", "x-gitlab-token",
	"x-goog-api-key", "x-goog-iam-authorization-token", "x-honeycomb-team", "x-jfrog-art-api",
	"x-ms-token-aad-access-token", "x-nuget-apikey", "x-original-authorization",
	"x-postmark-server-token", "x-rapidapi-key", "x-rundeck-auth-token", "x-shopify-access-token",
	"x-subscription-token", "x-token", "x-user-token", "x-vault-token", "xi-api-key",
}

// credentialHeader reports whether a header carries a credential.
func credentialHeader(name string) bool {
	_, found := slices.BinarySearch(credentialHeaders, foldedName(name))
	return found
}

// foldedName is a header's name as origins compare it: without case, and some
// do not tell '_' from '-'.
func foldedName(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}
