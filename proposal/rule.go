package proposal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/claude-bottle/claude-bottle/canon"
)

// Rule is what a proposal asks for and an approval is of: *EgressRule,
// *PipelockRule, *CapabilityRule, *FindingRule or *PushRule.
type Rule interface {
	// normal brings the rule into its one form, or says why it cannot be asked.
	normal() error
}

// EgressRule is a route without credential: its keys are those of a route in
// routes.yaml, and what is absent has the route's default.
type EgressRule struct {
	Host    string   `json:"host"`
	Methods []string `json:"methods,omitempty"`
	Paths   []string `json:"paths,omitempty"`
}

// PipelockRule is a host with the default route.
type PipelockRule struct {
	Host string `json:"host"`
}

// CapabilityRule is a wish in words; approving it applies nothing.
type CapabilityRule struct {
	Change string `json:"change"`
}

// FindingRule clears one finding of the scanner for one host.
type FindingRule struct {
	Host        string `json:"host"`
	Rule        string `json:"rule"`
	Fingerprint string `json:"fingerprint"`
}

// PushRule clears either one finding (Rule and Fingerprint) in pushes to a
// repository, or the CI changes of one push (Ref and Commit).
type PushRule struct {
	Repository  string `json:"repository"`
	Rule        string `json:"rule,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	Ref         string `json:"ref,omitempty"`
	Commit      string `json:"commit,omitempty"`
}

// ParseRule reads a rule of the given kind. Unknown fields, duplicates that
// change the meaning and forms other than the normal one are errors.
func ParseRule(kind Kind, raw json.RawMessage) (Rule, error) {
	var rule, normal Rule
	switch kind {
	case EgressBlock:
		rule, normal = new(EgressRule), new(EgressRule)
	case PipelockBlock:
		rule, normal = new(PipelockRule), new(PipelockRule)
	case CapabilityBlock:
		rule, normal = new(CapabilityRule), new(CapabilityRule)
	case FindingKind:
		rule, normal = new(FindingRule), new(FindingRule)
	case GitPush:
		rule, normal = new(PushRule), new(PushRule)
	default:
		return nil, fmt.Errorf("unknown kind %q", Clean(string(kind), 40))
	}
	if err := errors.Join(decode(raw, rule), decode(raw, normal)); err != nil {
		return nil, fmt.Errorf("rule: %w", err)
	}
	if err := normal.normal(); err != nil {
		return nil, fmt.Errorf("rule: %w", err)
	}
	got, err := canonicalJSON(rule)
	if err != nil {
		return nil, err
	}
	if want, err := canonicalJSON(normal); err != nil || !bytes.Equal(got, want) {
		return nil, errors.New("rule: not in its normal form")
	}
	return normal, nil
}

// decode reads exactly one JSON value and refuses unknown fields.
func decode(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one JSON value")
	}
	return nil
}

const (
	maxMethods = 16
	maxPaths   = 32
	maxPathLen = 1024
	maxChange  = 2000
)

func (r *EgressRule) normal() error {
	host, err := askedHost(r.Host)
	if err != nil {
		return err
	}
	if len(r.Methods) > maxMethods || len(r.Paths) > maxPaths {
		return fmt.Errorf("ask for at most %d methods and %d paths", maxMethods, maxPaths)
	}
	methods := make([]string, 0, len(r.Methods))
	for _, method := range r.Methods {
		upper := strings.ToUpper(method)
		if !knownMethods[upper] {
			return fmt.Errorf("method %q cannot be asked for", Clean(method, 40))
		}
		methods = append(methods, upper)
	}
	paths := make([]string, 0, len(r.Paths))
	for _, text := range r.Paths {
		if text == "" || len(text) > maxPathLen || strings.Contains(text, "*") {
			return fmt.Errorf("path %q: give prefixes of whole segments, such as /org/repo, without wildcards", Clean(text, 80))
		}
		path, err := canon.ParsePath(text)
		if err != nil {
			return err
		}
		paths = append(paths, string(path))
	}
	if slices.Contains(paths, "/") { // the same as no limit
		paths = nil
	}
	slices.Sort(methods)
	slices.Sort(paths)
	*r = EgressRule{Host: host, Methods: slices.Compact(methods), Paths: slices.Compact(paths)}
	return nil
}

// knownMethods may be asked for: those of RFC 9110 but CONNECT and TRACE,
// PATCH, and WebDAV's that only read.
var knownMethods = map[string]bool{
	"GET": true, "HEAD": true, "POST": true, "PUT": true, "PATCH": true,
	"DELETE": true, "OPTIONS": true, "PROPFIND": true, "REPORT": true,
}

// askedHost is the canonical form of a host that an agent may ask for: no
// wildcard, no port, no address that is not global.
func askedHost(text string) (string, error) {
	if strings.Contains(text, "*") {
		return "", fmt.Errorf("host %q: a proposal names exact hosts, ask for each without wildcard", Clean(text, 80))
	}
	host, err := canon.ParseHost(text)
	if err != nil {
		return "", fmt.Errorf("%w: give the bare host name, without scheme, port or path", err)
	}
	if ip, literal := host.IP(); literal && !canon.GlobalUnicast(ip) {
		return "", fmt.Errorf("host %s is no address of the public internet: only the operator's own configuration can open it", host)
	}
	return host.String(), nil
}

func (r *PipelockRule) normal() error {
	host, err := askedHost(r.Host)
	r.Host = host
	return err
}

// hostOfURL is the host of a URL that was refused. The port must be https's,
// which is what a default route opens.
func hostOfURL(text string) (*url.URL, string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, "", errors.New("failed_url is no URL")
	}
	switch {
	case u.User != nil:
		return nil, "", errors.New("failed_url holds a user name or password: leave it out")
	case u.Scheme != "https" || u.Opaque != "":
		return nil, "", errors.New("failed_url: only an https:// URL can be asked for")
	}
	authority, err := canon.ParseAuthority(u.Host, 443)
	if err != nil {
		return nil, "", fmt.Errorf("failed_url: %w", err)
	}
	if authority.Port != 443 {
		return nil, "", fmt.Errorf("failed_url: only port 443 can be asked for, not %d", authority.Port)
	}
	host, err := askedHost(authority.Host.String())
	return u, host, err
}

func (r *CapabilityRule) normal() error {
	if r.Change = Clean(r.Change, maxChange); r.Change == "" {
		return errors.New("change is empty: say what you want changed")
	}
	return nil
}

func (r *FindingRule) normal() error {
	host, err := canon.ParseHost(r.Host)
	if err != nil {
		return err
	}
	r.Host = host.String()
	return names(r.Rule, r.Fingerprint)
}

func (r *PushRule) normal() error {
	finding, ci := r.Rule+r.Fingerprint != "", r.Ref+r.Commit != ""
	switch {
	case finding == ci:
		return errors.New("a push is cleared for one finding, or for one ref and commit")
	case finding:
		return names(r.Repository, r.Rule, r.Fingerprint)
	}
	return names(r.Repository, r.Ref, r.Commit)
}

// names refuses words that cannot be shown exactly as they are.
func names(words ...string) error {
	for _, word := range words {
		if word == "" || Clean(word, 256) != word {
			return fmt.Errorf("%q is empty, too long or cannot be shown", Clean(word, 80))
		}
	}
	return nil
}
