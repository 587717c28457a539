// Package config is git-gate's configuration: which repositories the agent may
// reach, and what it may push.
package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"github.com/claude-bottle/claude-bottle/internal/strictyaml"
)

// Config is a parsed, valid configuration.
type Config struct {
	// Repos are the declared repositories by name; the agent reaches one at
	// /<name>.git.
	Repos map[string]Repo `yaml:"repos"`
}

// Repo is one declared repository.
type Repo struct {
	// URL is the upstream: ssh://, the scp form, or https://. See ParseURL.
	URL string `yaml:"url"`
	// Identity is the private key's file for SSH; a relative path counts from
	// the configuration file's folder.
	Identity string `yaml:"identity,omitempty"`
	// TokenEnv names the variable with the HTTPS token; empty = anonymous.
	TokenEnv string `yaml:"token_env,omitempty"`
	// HostKey is the pinned key of an SSH upstream, "host type base64".
	HostKey string `yaml:"host_key,omitempty"`
	// Push are the references that may be pushed; `*` matches any run of
	// characters. An absent key is refs/heads/*, an empty list is no push.
	Push []string `yaml:"push"`
	// PushOptions lets `git push -o` through.
	PushOptions bool `yaml:"push_options,omitempty"`
	// Force and Delete allow what rewrites or removes a reference.
	Force  bool `yaml:"force,omitempty"`
	Delete bool `yaml:"delete,omitempty"`
	// CIPaths says what happens to a push that changes what CI runs: "ask"
	// (also when empty), "allow" or "deny".
	CIPaths string `yaml:"ci_paths,omitempty"`
}

// maxSize of a configuration file.
const maxSize = 256 << 10

var (
	tokenEnv = regexp.MustCompile(`^EGRESS_TOKEN_[1-9][0-9]{0,3}$`)
	repoName = regexp.MustCompile(`^[a-z0-9._-]{1,100}$`)
	// refPattern is what git allows in a reference, and the star.
	refPattern = regexp.MustCompile(`^refs/[A-Za-z0-9._/*@+=#%-]+$`)
)

// Parse reads and validates a configuration file. Unknown keys are errors.
func Parse(b []byte) (*Config, error) {
	if len(b) > maxSize {
		return nil, fmt.Errorf("git-gate configuration of %d bytes: at most %d are read", len(b), maxSize)
	}
	var c Config
	if err := strictyaml.Load(b, &c); err != nil {
		return nil, fmt.Errorf("git-gate configuration: %w", err)
	}
	return New(c.Repos)
}

// New completes the defaults of repos and validates them as Parse does. The
// map is not kept.
func New(repos map[string]Repo) (*Config, error) {
	c := &Config{Repos: make(map[string]Repo, len(repos))}
	var errs []error
	for _, name := range sortedNames(repos) {
		repo := repos[name].withDefaults()
		if err := errors.Join(CheckName(name), repo.validate()); err != nil {
			errs = append(errs, fmt.Errorf("git-gate: repos.%s: %w", name, err))
		}
		c.Repos[name] = repo
	}
	return c, errors.Join(errs...)
}

// Names returns the repositories' names, sorted.
func (c *Config) Names() []string { return sortedNames(c.Repos) }

// Render writes the configuration; Parse(Render()) is the same one.
func (c *Config) Render() ([]byte, error) { return yaml.Dump(c) }

// CheckName tells whether a repository may have this name: lower-case letters,
// digits, '.', '_' and '-', without "..", a leading '.' or '-', or ".git".
func CheckName(name string) error {
	if !repoName.MatchString(name) || strings.Contains(name, "..") || strings.ContainsAny(name[:1], ".-") || strings.HasSuffix(name, ".git") {
		return fmt.Errorf("the name %.60q is not allowed: use a-z, 0-9, '.', '_' and '-', beginning with a letter or digit, without '..' and '.git'", name)
	}
	return nil
}

// MayPush tells whether a reference is among the patterns of Push.
func (r Repo) MayPush(ref string) bool {
	return slices.ContainsFunc(r.Push, func(pattern string) bool { return match(pattern, ref) })
}

func (r Repo) withDefaults() Repo {
	if r.Push == nil {
		r.Push = []string{"refs/heads/*"}
	}
	if r.CIPaths == "" {
		r.CIPaths = "ask"
	}
	return r
}

func (r Repo) validate() error {
	remote, err := ParseURL(r.URL)
	if err != nil {
		return err
	}
	var errs []error
	if remote.Scheme == "ssh" {
		errs = append(errs, r.validateSSH(remote))
	} else {
		errs = append(errs, r.validateHTTPS())
	}
	for _, pattern := range r.Push {
		if !refPattern.MatchString(pattern) || strings.Contains(pattern, "..") {
			errs = append(errs, fmt.Errorf("push: %.60q is not the full name of a reference, such as refs/heads/* or refs/tags/v*", pattern))
		}
	}
	if !slices.Contains([]string{"ask", "allow", "deny"}, r.CIPaths) {
		errs = append(errs, fmt.Errorf("ci_paths: %.60q is none of ask, allow, deny", r.CIPaths))
	}
	return errors.Join(errs...)
}

func (r Repo) validateSSH(remote Remote) error {
	var errs []error
	if r.Identity == "" {
		errs = append(errs, errors.New("identity is missing: an ssh url needs the file of a private key"))
	}
	if r.TokenEnv != "" {
		errs = append(errs, errors.New("a token belongs to an https url; an ssh url takes identity"))
	}
	_, err := ParseHostKey(r.HostKey, remote)
	return errors.Join(append(errs, err)...)
}

func (r Repo) validateHTTPS() error {
	var errs []error
	if r.Identity != "" || r.HostKey != "" {
		errs = append(errs, errors.New("identity and host_key belong to an ssh url; an https url takes a token"))
	}
	if r.TokenEnv != "" && !tokenEnv.MatchString(r.TokenEnv) {
		errs = append(errs, fmt.Errorf("token_env: %.60q is not of the form EGRESS_TOKEN_1", r.TokenEnv))
	}
	return errors.Join(errs...)
}

func sortedNames(repos map[string]Repo) []string {
	names := make([]string, 0, len(repos))
	for name := range repos {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// match compares with a pattern in which each star stands for any run of
// characters, slashes included.
func match(pattern, text string) bool {
	prefix, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return false
	}
	pieces := strings.Split(rest, "*")
	last := pieces[len(pieces)-1]
	for _, piece := range pieces[:len(pieces)-1] {
		if _, text, ok = strings.Cut(text, piece); !ok {
			return false
		}
	}
	return strings.HasSuffix(text, last)
}
