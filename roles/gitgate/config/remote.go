package config

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"

	"github.com/claude-bottle/claude-bottle/canon"
)

// Remote is an upstream's URL in parts.
type Remote struct {
	// Scheme is "ssh" or "https".
	Scheme string
	// User is the SSH user, "git" when the URL names none; empty for https.
	User string
	// Host is canonical, Port never 0.
	Host canon.Host
	Port uint16
	// Path is what is asked of the server: absolute for URLs; for the scp form
	// as it was written, which may be relative to the user's home there.
	Path string
}

// ParseURL reads ssh://[user@]host[:port]/path, [user@]host:path and
// https://host[:port]/path. A password, query or fragment is an error: what is
// secret does not stand in a URL.
func ParseURL(text string) (Remote, error) {
	if text == "" {
		return Remote{}, errors.New("url is missing: give the upstream, such as ssh://git@github.com/acme/widgets.git")
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' }) {
		return Remote{}, errors.New("url: holds a space, a backslash or a control character")
	}
	if strings.Contains(text, "://") {
		return parseURL(text)
	}
	return parseSCP(text)
}

func parseURL(text string) (Remote, error) {
	u, err := url.Parse(text)
	if err != nil {
		// url.Error repeats the text, which may hold a password.
		return Remote{}, errors.New("url: not a URL that can be read")
	}
	if _, password := u.User.Password(); password || u.Scheme == "https" && u.User != nil {
		return Remote{}, errors.New("url: holds a credential; name a host variable with token_ref, or a key with identity")
	}
	if u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return Remote{}, errors.New("url: a query or fragment has no place in it")
	}
	r := Remote{Scheme: u.Scheme, User: u.User.Username(), Path: u.Path}
	switch r.Scheme {
	case "ssh":
		r.Port = 22
		if r.User == "" {
			r.User = "git"
		}
	case "https":
		r.Port = 443
	default:
		return Remote{}, fmt.Errorf("url: the scheme %.20q is not supported; use ssh:// or https://", u.Scheme)
	}
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return Remote{}, fmt.Errorf("url: the port %.20q is none", port)
		}
		r.Port = uint16(n)
	}
	return r.check(u.Hostname())
}

func parseSCP(text string) (Remote, error) {
	authority, path, ok := strings.Cut(text, ":")
	if inner, rest, bracket := strings.Cut(text, "]:"); bracket {
		authority, path, ok = inner+"]", rest, true
	}
	if !ok || strings.Contains(authority, "/") {
		return Remote{}, fmt.Errorf("url: %.100q is neither ssh://, https:// nor user@host:path", text)
	}
	r := Remote{Scheme: "ssh", User: "git", Port: 22, Path: path}
	host := authority
	if user, rest, ok := strings.Cut(authority, "@"); ok {
		r.User, host = user, rest
	}
	return r.check(host)
}

// check canonicalises the host and refuses paths and users that another
// program could read as something else.
func (r Remote) check(host string) (Remote, error) {
	var err error
	if r.Host, err = canon.ParseHost(host); err != nil {
		return Remote{}, fmt.Errorf("url: %w", err)
	}
	if strings.ContainsFunc(r.Path, unicode.IsControl) {
		return Remote{}, errors.New("url: the repository's path holds a control character")
	}
	if strings.HasPrefix(r.Path, "/~") && r.Scheme == "ssh" {
		r.Path = r.Path[1:] // a user's home, as git reads it
	}
	if strings.Trim(r.Path, "/") == "" {
		return Remote{}, errors.New("url: the repository's path is missing")
	}
	for segment := range strings.SplitSeq(r.Path, "/") {
		if segment == ".." || segment == "." {
			return Remote{}, errors.New("url: the repository's path holds '.' or '..'")
		}
	}
	if strings.HasPrefix(r.Path, "-") || strings.HasPrefix(r.User, "-") || strings.ContainsAny(r.User, ":/") {
		return Remote{}, errors.New("url: the user or the path begins with '-' or holds what does not belong there")
	}
	return r, nil
}

// Address is host:port, ready to be dialled.
func (r Remote) Address() string {
	return canon.Authority{Host: r.Host, Port: r.Port}.String()
}

// ParseHostKey reads the pinned key of an SSH upstream, one line of a
// known_hosts file. The host it names must be the upstream's.
func ParseHostKey(line string, remote Remote) (ssh.PublicKey, error) {
	if line == "" {
		return nil, fmt.Errorf("host_key is missing: pin the server's key, as `ssh-keyscan -p %d %s` shows it, after comparing it with what the operator of the server publishes", remote.Port, remote.Host)
	}
	marker, hosts, key, _, rest, err := ssh.ParseKnownHosts([]byte(line))
	if err != nil || marker != "" || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, errors.New(`host_key: not one line of a known_hosts file, such as "github.com ssh-ed25519 AAAA…"`)
	}
	for _, host := range hosts {
		if hostMatches(host, remote) {
			return key, nil
		}
	}
	return nil, fmt.Errorf("host_key: the line is for %.100q, not for %s", strings.Join(hosts, ","), remote.Address())
}

// hostMatches compares a name of a known_hosts line, "host" or "[host]:port".
func hostMatches(text string, remote Remote) bool {
	if !strings.HasPrefix(text, "[") {
		host, err := canon.ParseHost(text)
		return err == nil && host == remote.Host
	}
	authority, err := canon.ParseAuthority(bare(text), 22)
	return err == nil && authority.Host == remote.Host && authority.Port == remote.Port
}

// bare takes the brackets off a name: known_hosts has them around every host
// with a port, a URL only around an IPv6 address.
func bare(text string) string {
	host, port, ok := strings.Cut(strings.TrimPrefix(text, "["), "]")
	if !ok || strings.Contains(host, ":") {
		return text
	}
	return host + port
}
