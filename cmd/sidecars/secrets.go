package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxSecretsBytes bounds the file of secrets.
const maxSecretsBytes = 1 << 20

// shortestSecret is what a scanner can recognise without matching everywhere.
const shortestSecret = 8

// knownSecrets collects every value that must never leave: the lines of the
// secrets file and the credentials of the environment.
func knownSecrets(c config) ([]string, error) {
	var known []string
	if c.secrets != "" {
		lines, err := readSecrets(c.secrets)
		if err != nil {
			return nil, fmt.Errorf("CLAUDE_BOTTLE_SECRETS: %w", err)
		}
		known = lines
	}
	credentials := maps.Clone(c.egress.tokens)
	credentials["PIPELOCK_TOKEN"] = c.pipelock.token
	if hop, err := url.Parse(c.egress.upstreamProxy); err == nil {
		credentials["the password in EGRESS_UPSTREAM_PROXY"], _ = hop.User.Password()
	}
	for name, value := range credentials {
		switch {
		case value == "":
		case len(value) < shortestSecret:
			return nil, fmt.Errorf("%s is shorter than %d bytes; its leaks could not be recognised", name, shortestSecret)
		default:
			known = append(known, value)
		}
	}
	return known, nil
}

// readSecrets reads one value a line. The file must be its owner's alone. A
// descriptor given as /proc/self/fd/N is closed after reading.
func readSecrets(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if number, ok := strings.CutPrefix(path, "/proc/self/fd/"); ok {
		if fd, err := strconv.Atoi(number); err == nil {
			defer unix.Close(fd)
		}
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %#o; others may read it: chmod 600", path, info.Mode().Perm())
	}
	content, err := io.ReadAll(io.LimitReader(f, maxSecretsBytes+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxSecretsBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxSecretsBytes)
	}
	var values []string
	number := 0
	for line := range bytes.Lines(content) {
		number++
		value := strings.TrimRight(string(line), "\r\n")
		if value == "" {
			continue
		}
		if len(value) < shortestSecret {
			return nil, fmt.Errorf("%s line %d is shorter than %d bytes; its leaks could not be recognised", path, number, shortestSecret)
		}
		values = append(values, value)
	}
	return values, nil
}
