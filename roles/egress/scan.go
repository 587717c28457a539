package egress

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// scan looks for secrets in every surface that the agent controls: method,
// path, query, header, and the body as it is read.
func scan(x *exchange) *policy.Decision {
	x.scanner = x.live.scanner(x.route, x.authority.Host)
	if x.webSocket {
		x.key.take(x.in.Header)
	}
	if x.in.Header["Cookie"] != nil && x.in.ProtoMajor == 2 {
		// HTTP/2 splits a cookie line; it is forwarded, and scanned, as one.
		x.in.Header["Cookie"] = []string{strings.Join(x.in.Header["Cookie"], "; ")}
	}
	if d := x.scanSpelling(); d != nil {
		return d
	}
	if f := x.scanTarget(); f != nil {
		return x.blockSecret(f)
	}
	if f := x.scanHeader("header ", x.in.Header); f != nil {
		return x.blockSecret(f)
	}
	// Their names go in the head; the values are scanned as they come.
	if f := x.scanHeader("trailer ", x.in.Trailer); f != nil {
		return x.blockSecret(f)
	}
	return x.openBody()
}

// scanTarget scans method, path and query.
func (x *exchange) scanTarget() *secretscan.Finding {
	if !commonMethod(x.in.Method) {
		if f := x.scanner.Text("method", x.in.Method); f != nil {
			return f
		}
	}
	if f := x.scanner.Text("path", string(x.sentPath)); f != nil {
		return f
	}
	if x.sentPath != x.path {
		if f := x.scanner.Text("path", string(x.path)); f != nil {
			return f
		}
	}
	if x.query == "" {
		return nil
	}
	if x.route.AgentAuth {
		// The agent's own credential may be in the query here, ours may not.
		if f := x.role.tokens.all.Text("query", x.query); f != nil {
			return f
		}
	}
	return x.scanner.Text("query", scannedQuery(x.query, x.route.AgentAuth))
}

// scannedQuery is what of a query the bottle's rules look at: all but the
// names of parameters that page through lists, which would make their values
// look like keys, and, with own, the agent's own credentials.
func scannedQuery(query string, own bool) string {
	if !own && !strings.Contains(query, "oken") {
		return query
	}
	var rest []string
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case own && credentialQuery(name, value):
		case slices.Contains(pagingNames, strings.ToLower(strings.ReplaceAll(name, "_", ""))):
			rest = append(rest, value)
		default:
			rest = append(rest, pair)
		}
	}
	return strings.Join(rest, "&")
}

// pagingNames are parameters that page through lists, without '_'.
var pagingNames = []string{"continuationtoken", "nextpagetoken", "nexttoken", "pagetoken", "paginationtoken", "synctoken"}

func commonMethod(m string) bool {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return true
	}
	return false
}

// shortestName is the length in bytes from where a header's name is scanned by
// itself: no shorter secret is searched for.
const shortestName = 8

// scanHeader scans names and values together, as rules look at both. A name
// may come without value, and without the case that it was written in.
func (x *exchange) scanHeader(place string, h http.Header) *secretscan.Finding {
	for name, values := range h {
		scanner := x.scanner
		if x.route.AgentAuth && credentialHeader(name) {
			scanner = x.role.tokens.all
		}
		if lower := strings.ToLower(name); len(name) >= shortestName {
			if f := scanner.Name(place+"name", lower); f != nil {
				return f
			}
		}
		for _, value := range values {
			text := name + ": " + value
			if name == "Idempotency-Key" || name == "X-Idempotency-Key" {
				text = value // random by design, and "key" makes it look like one
			}
			if f := scanner.Text(place+name, text); f != nil {
				return f
			}
		}
	}
	return nil
}

func (x *exchange) blockSecret(f *secretscan.Finding) *policy.Decision {
	remedy := remedySecret
	if x.role.OnFinding != nil {
		if id := x.role.OnFinding(x.authority.Host.String(), *f); id != "" {
			remedy = "send the request without it, or wait for proposal " + id + ", which asks the operator to let it pass"
		}
	}
	return x.block(policy.Secret, f.Error(), remedy)
}

// maxScanners bounds how many scanners are kept: a pattern has any number of
// hosts.
const maxScanners = 1024

// destination is what findings are cleared for: a host, on a route that says
// which.
type destination struct {
	route *routes.Route
	host  canon.Host
}

// scanner is the bottle's for one host, where the operator cleared findings.
// Their fingerprints are for that host alone, also on a pattern's route.
func (l *live) scanner(route *routes.Route, host canon.Host) *secretscan.Scanner {
	to := destination{route, host}
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.scanners[to]
	if !ok {
		if len(l.scanners) >= maxScanners {
			clear(l.scanners)
		}
		s = l.role.Scanner.For(host.String(), func(f secretscan.Finding) bool {
			return slices.Contains(route.Findings, routes.Finding{Rule: f.Rule, Fingerprint: f.Fingerprint})
		})
		l.scanners[to] = s
	}
	return s
}

// credentialNames are query parameters that carry a credential whatever their
// value is. They are the names that OAuth (RFC 6750), the big clouds' signed
// URLs and the forges use.
var credentialNames = []string{
	"access_token", "api-key", "api_key", "apikey", "auth", "auth_token", "authorization",
	"awsaccesskeyid", "bearer_token", "client_secret", "id_token", "job_token", "jwt", "oauth_token",
	"password", "private_token", "refresh_token", "secret", "signature", "token", "x-amz-credential",
	"x-amz-security-token", "x-amz-signature", "x-goog-credential", "x-goog-signature",
}

// credentialQuery reports whether a query parameter, as written, is a
// credential.
func credentialQuery(name, value string) bool {
	name = strings.ToLower(unescaped(name))
	switch name {
	case "key": // of Google's services; elsewhere a harmless word
		return strings.HasPrefix(unescaped(value), "AIza")
	case "sig": // of Azure's shared access signatures: base64 of 32 bytes
		return len(unescaped(value)) == 44
	}
	_, found := slices.BinarySearch(credentialNames, name)
	return found
}

// unescaped is the text of a query's part; what cannot be read stays.
func unescaped(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}
