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
	}
	for name := range h {
		if x.stripped(name) {
			delete(h, name)
		}
	}
	if x.route.AgentAuth || x.query == "" {
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

// stripped reports whether a header or trailer of the agent's must not reach
// the origin.
func (x *exchange) stripped(name string) bool {
	folded := foldedName(name)
	switch {
	case folded == "proxy-authorization": // for this hop, also where the agent's own pass
		return true
	case slices.Contains(overridingHeaders, folded):
		return true
	case x.route.Auth != nil && folded == foldedName(injectedHeader(x.route)):
		return true
	default:
		return !x.route.AgentAuth && credentialHeader(name)
	}
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
// from and that credentialWords do not tell, in lower case with '-' for '_'.
var credentialHeaders = []string{
	"authorization", "cf-access-client-id", "cf-access-client-secret", "dd-application-key",
	"fastly-key", "ocp-apim-subscription-key", "proxy-authorization", "token", "x-auth",
	"x-auth-email", "x-auth-key", "x-authorization", "x-forwarded-authorization",
	"x-honeycomb-team", "x-jfrog-art-api", "x-original-authorization",
}

// credentialWords are what such a header is called with any words around.
var credentialWords = []string{
	"-access-token-", "-api-key-", "-api-secret-", "-api-token-", "-apikey-", "-auth-token-",
	"-private-token-", "-secret-key-",
}

// credentialHeader reports whether a header carries a credential.
func credentialHeader(name string) bool {
	folded := foldedName(name)
	if _, found := slices.BinarySearch(credentialHeaders, folded); found {
		return true
	}
	// A token against forged requests is no credential: it goes with a cookie.
	if strings.HasSuffix(folded, "-token") && !strings.Contains(folded, "csrf") && !strings.Contains(folded, "xsrf") {
		return true
	}
	if !strings.Contains(folded, "-") && folded != "apikey" {
		return false
	}
	framed := "-" + folded + "-"
	return slices.ContainsFunc(credentialWords, func(words string) bool { return strings.Contains(framed, words) })
}

// foldedName is a header's name as origins compare it: without case, and some
// do not tell '_' from '-'.
func foldedName(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}
