package routes

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/claude-bottle/claude-bottle/canon"
	"golang.org/x/net/publicsuffix"
)

// ParsePattern returns the canonical form of a route's host: a name, an IP
// literal, or *.example.com with exactly one leading star. A star before a
// public suffix (com, co.uk, github.io) would allow names of anyone and is an
// error.
func ParsePattern(s string) (string, error) {
	base, wild := strings.CutPrefix(s, "*.")
	host, err := canon.ParseHost(base)
	switch {
	case err != nil && strings.Contains(s, "*"):
		return "", fmt.Errorf("%q: a pattern is *.example.com, with one star and dot in front: %w", s, err)
	case err != nil:
		return "", err
	case host.String() == Self || wild && strings.HasSuffix(Self, "."+host.String()):
		return "", fmt.Errorf("%q is egress itself and needs no route", s)
	case !wild:
		return host.String(), nil
	}
	if _, isIP := host.IP(); isIP {
		return "", fmt.Errorf("%q: an IP address has no names below it", s)
	}
	if suffix, _ := publicsuffix.PublicSuffix(host.String()); suffix == host.String() {
		return "", fmt.Errorf("%q: anyone can have a name below %s: name the domain below it", s, suffix)
	}
	return "*." + host.String(), nil
}

// patternBase returns what follows "*." of a canonical pattern.
func patternBase(host string) (string, bool) { return strings.CutPrefix(host, "*.") }

// ParseHostList reads one host or pattern a line, with # comments; it returns
// each once, canonical, in order. Errors name their line.
func ParseHostList(b []byte) ([]string, error) {
	if len(b) > maxBytes {
		return nil, fmt.Errorf("host list: longer than %d bytes", maxBytes)
	}
	var hosts []string
	var errs []error
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, maxBytes+1)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		host, err := ParsePattern(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("host list: line %d: %w", n, err))
			continue
		}
		if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	if err := errors.Join(append(errs, lines.Err())...); err != nil {
		return nil, err
	}
	if len(hosts) > maxRoutes {
		return nil, fmt.Errorf("host list: %d hosts are too many: the limit is %d", len(hosts), maxRoutes)
	}
	return hosts, nil
}

// FreeLabels says how many of the host's first labels the patterns that name
// it leave open, the fewest first. It is empty where a route names the host
// itself, whose labels are then the operator's.
func (t *Table) FreeLabels(host canon.Host) []int {
	name := host.String()
	if len(t.exact[name]) > 0 {
		return nil
	}
	var free []int
	for n := 1; ; n++ {
		_, base, ok := strings.Cut(name, ".")
		if !ok {
			return free
		}
		if len(t.under[base]) > 0 {
			free = append(free, n)
		}
		name = base
	}
}
