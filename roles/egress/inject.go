package egress

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// inject sets the route's credential. It is the last that touches the header.
func inject(x *exchange) *policy.Decision {
	auth := x.route.Auth
	if auth == nil {
		return nil
	}
	t, ok := x.role.tokens.byName[auth.TokenEnv]
	switch {
	case !ok:
		return x.block(policy.CredentialMissing, "the route's credential "+auth.TokenEnv+" is not set", remedyToken)
	case t.err != nil:
		return x.block(policy.CredentialMissing, "the route's credential "+auth.TokenEnv+" cannot be used: "+t.err.Error(), remedyToken)
	case x.plain:
		return x.block(policy.CredentialMissing, "no credential is sent over plain HTTP", "ask for the https URL")
	}
	x.token = t
	x.in.Header[injectedHeader(x.route)] = []string{t.header(auth.Scheme)}
	return nil
}

// injectedHeader is where the route's credential goes.
func injectedHeader(r *routes.Route) string {
	if r.Auth.Header == "" {
		return "Authorization"
	}
	return canonicalHeader(r.Auth.Header)
}

// token is a credential that routes inject.
type token struct {
	value string
	// scanner finds this token alone, in what an origin answers.
	scanner *secretscan.Scanner
	// names finds it in the names of headers, all in lower case.
	names *secretscan.Scanner
	err   error // why it cannot be used
}

// header is the header's value under a scheme; "" is the bare token. Basic
// takes user:password and what is encoded already.
func (t *token) header(scheme string) string {
	switch {
	case scheme == "":
		return t.value
	case strings.EqualFold(scheme, "Basic") && strings.Contains(t.value, ":"):
		return scheme + " " + base64.StdEncoding.EncodeToString([]byte(t.value))
	default:
		return scheme + " " + t.value
	}
}

// tokenScanners are the credentials and what finds them.
type tokenScanners struct {
	byName map[string]*token
	all    *secretscan.Scanner
}

func newTokenScanners(values map[string]string) (*tokenScanners, error) {
	s := &tokenScanners{byName: make(map[string]*token)}
	var usable []string
	for name, value := range values {
		if value == "" {
			continue
		}
		t := &token{value: value}
		if !httpguts.ValidHeaderFieldValue(value) || strings.TrimSpace(value) != value {
			t.err = errors.New("it has a line end, a blank at an end or a control character")
		} else if secrets := credentialParts(value); len(value) >= shortestName {
			if t.scanner, t.err = finder(secrets...); t.err != nil {
				return nil, t.err
			}
			// What encodes the value is recognised whatever its case; the value
			// itself is not.
			for _, secret := range secrets {
				secrets = append(secrets, strings.ToLower(secret))
			}
			if t.names, t.err = finder(secrets...); t.err != nil {
				return nil, t.err
			}
			usable = append(usable, credentialParts(value)...)
		} else {
			t.err = errors.New("it is too short to be recognised when it leaks")
		}
		s.byName[name] = t
	}
	var err error
	s.all, err = finder(usable...)
	return s, err
}

// credentialParts is a credential and what in it is one by itself: the password
// behind a user's name, also where both are encoded as for Basic.
func credentialParts(value string) []string {
	parts := []string{value}
	if plain, err := base64.StdEncoding.DecodeString(value); err == nil && utf8.Valid(plain) && strings.Contains(string(plain), ":") {
		parts = append(parts, string(plain))
	}
	for _, part := range parts {
		if _, password, ok := strings.Cut(part, ":"); ok && len(password) >= shortestName {
			parts = append(parts, password)
		}
	}
	return parts
}

// finder finds the given values and nothing else.
func finder(values ...string) (*secretscan.Scanner, error) {
	return secretscan.New(values, secretscan.WithoutRules())
}
