package routes

import (
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"slices"
	"strings"

	"github.com/claude-bottle/claude-bottle/canon"
	"golang.org/x/net/http/httpguts"
)

// Limits that no honest file comes near.
const (
	maxBytes  = 1 << 20
	maxRoutes = 4096
)

// fieldError says which key of a route is wrong.
type fieldError struct {
	key string
	err error
}

func (e *fieldError) Error() string { return e.key + ": " + e.err.Error() }
func (e *fieldError) Unwrap() error { return e.err }

// routeError says which route is wrong.
type routeError struct {
	index int
	host  string
	err   error
}

func (e *routeError) Error() string {
	return fmt.Sprintf("route %d (%q): %v", e.index+1, e.host, e.err)
}
func (e *routeError) Unwrap() error { return e.err }

func invalid(key, format string, args ...any) error {
	return &fieldError{key, fmt.Errorf(format, args...)}
}

var (
	methodForm   = regexp.MustCompile(`^[A-Z][A-Z0-9_-]{0,31}$`)
	tokenEnvForm = regexp.MustCompile(`^EGRESS_TOKEN_[0-9]+$`)
	schemeForm   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.+-]{0,63}$`)
	grantForm    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
)

// ownHeaders are those by which egress or the connection itself is run; a
// credential in one of them would change what is forwarded, not to whom.
var ownHeaders = []string{
	"Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect",
	"Forwarded", "Host", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
	"Range", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Via",
}

// compile validates a route and makes it canonical. Errors are fieldErrors
// and name no secret.
func compile(route Route) (rule, error) {
	r := rule{Route: route.clone()}
	for _, step := range []func(*rule) error{
		(*rule).compileHost, (*rule).compilePorts, (*rule).compileMethods, (*rule).compilePaths,
		(*rule).compileAuth, (*rule).compileNetworks, (*rule).compileRest, (*rule).compileGrant,
	} {
		if err := step(&r); err != nil {
			return rule{}, err
		}
	}
	return r, nil
}

func (r *rule) compileHost() error {
	host, err := ParsePattern(r.Host)
	if err != nil {
		return &fieldError{"host", err}
	}
	r.Host = host
	return nil
}

func (r *rule) compilePorts() error {
	if len(r.Ports) == 0 {
		r.Ports = []uint16{443}
	}
	if slices.Contains(r.Ports, 0) {
		return invalid("ports", "0 is no port: use 1 to 65535")
	}
	if r.Auth != nil && slices.Contains(r.Ports, 80) {
		return invalid("ports", "80 is plain HTTP, which would show the credential of auth to everyone: remove the port or auth")
	}
	return nil
}

func (r *rule) compileMethods() error {
	for _, method := range r.Methods {
		switch {
		case method == "TRACE" || method == "CONNECT":
			return invalid("methods", "%s cannot be allowed", method)
		case !methodForm.MatchString(method):
			return invalid("methods", "%q is no method: write it in capital letters, like GET", method)
		}
	}
	return nil
}

func (r *rule) compilePaths() error {
	key := "paths"
	if len(r.PathAllowlist) > 0 {
		if len(r.Paths) > 0 {
			return invalid("path_allowlist", "is another name for paths: give one of the two")
		}
		key, r.Paths, r.PathAllowlist = "path_allowlist", r.PathAllowlist, nil
	}
	for i, text := range r.Paths {
		if text == "" {
			return invalid(key, "a path is empty: write / for all")
		}
		p, err := canon.ParsePath(text)
		if err != nil {
			return &fieldError{key, err}
		}
		r.Paths[i] = string(p)
		r.paths = append(r.paths, p)
	}
	return nil
}

func (r *rule) compileAuth() error {
	if r.Auth == nil {
		return nil
	}
	if r.AgentAuth {
		return invalid("agent_auth", "the agent's own credentials cannot go beside those of auth: give one of the two")
	}
	if r.Auth.Header == "" {
		r.Auth.Header = "Authorization"
	}
	// What stands here by mistake may be the secret itself, so it is not shown.
	if !tokenEnvForm.MatchString(r.Auth.TokenEnv) {
		return invalid("token_env", "is not of the form EGRESS_TOKEN_1: name the variable, never the token")
	}
	if r.Auth.Scheme != "" && !schemeForm.MatchString(r.Auth.Scheme) {
		return invalid("scheme", "is not a word like Bearer")
	}
	if !httpguts.ValidHeaderFieldName(r.Auth.Header) {
		return invalid("header", "is not a header name")
	}
	r.Auth.Header = textproto.CanonicalMIMEHeaderKey(r.Auth.Header)
	if slices.Contains(ownHeaders, r.Auth.Header) || strings.HasPrefix(r.Auth.Header, "Sec-") {
		return invalid("header", "%s cannot carry a credential", r.Auth.Header)
	}
	return nil
}

func (r *rule) compileNetworks() error {
	for _, network := range r.Networks {
		switch {
		case !network.IsValid() || network.Addr().Is4In6():
			return invalid("networks", "%q is not a range like 10.0.0.0/8", network)
		case network != network.Masked():
			return invalid("networks", "%s has bits beyond its length: write %s", network, network.Masked())
		case network.Bits() == 0:
			return invalid("networks", "%s is every address: name the ranges that are meant", network)
		}
	}
	return nil
}

func (r *rule) compileRest() error {
	switch r.Pipelock {
	case "":
		r.Pipelock = Inspect
	case Inspect, Passthrough:
	default:
		return invalid("pipelock", "%q is neither %s nor %s", r.Pipelock, Inspect, Passthrough)
	}
	for i, f := range r.Findings {
		if f.Rule == "" || f.Fingerprint == "" {
			return invalid("findings", "entry %d needs a rule and a fingerprint", i+1)
		}
	}
	return nil
}

func (r *rule) compileGrant() error {
	switch {
	case r.Uses < 0:
		return invalid("uses", "%d is no number of requests: use 1 or more", r.Uses)
	case r.Grant == "" && !r.Expires.IsZero():
		return invalid("expires", "only a grant can expire: add grant or remove expires")
	case r.Grant == "" && r.Uses > 0:
		return invalid("uses", "only a grant can be used up: add grant or remove uses")
	case r.Grant != "" && !grantForm.MatchString(r.Grant):
		return &fieldError{"grant", errors.New("is not the id of a proposal")}
	}
	r.Expires = r.Expires.UTC()
	return nil
}
