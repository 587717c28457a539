package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"
)

const allowlist = "api_allowlist"

// Hosts returns the allowlist of a file, canonical, each host or *.domain once,
// in file order. Other blocks may hold anything that is YAML.
func Hosts(src []byte) ([]string, error) {
	root, err := load(src)
	if err != nil {
		return nil, err
	}
	list, err := listOf(root)
	if err != nil {
		return nil, err
	}
	hosts := []string{}
	for _, item := range list.Content {
		host, err := pattern(item.Value)
		if err != nil {
			return nil, fmt.Errorf("pipelock.yaml: line %d: %w", item.Line, err)
		}
		if host != noHost && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts, nil
}

// SetHosts returns src with hosts, each exact or *.domain, as its allowlist.
// Every byte outside of the list stays. In a list of one host a line, the lines
// of the hosts that stay do too, with their comments; new ones follow at the
// end. A list in brackets is written anew.
func SetHosts(src []byte, hosts []string) ([]byte, error) {
	root, err := load(src)
	if err != nil {
		return nil, err
	}
	list, err := listOf(root)
	if err != nil {
		return nil, err
	}
	old, err := Hosts(src)
	if err != nil {
		return nil, err
	}
	wanted, err := canonical(hosts)
	if err != nil {
		return nil, err
	}
	// Strict mode wants a list of at least one.
	if len(wanted) == 0 && len(list.Content) > 0 && len(old) == 0 ||
		len(wanted) > 0 && sameSet(old, wanted) && len(old) == len(list.Content) {
		return bytes.Clone(src), nil
	}
	if len(wanted) == 0 {
		wanted = []string{noHost}
	}
	var out []byte
	if list.Style&yaml.FlowStyle != 0 {
		out, err = inBrackets(src, list, wanted)
	} else {
		out, err = inLines(src, list, wanted)
	}
	if err != nil {
		return nil, err
	}
	if err := onlyListChanged(root, out, wanted); err != nil {
		return nil, err
	}
	return out, nil
}

func canonical(hosts []string) ([]string, error) {
	var all []string
	for _, text := range hosts {
		host, err := pattern(text)
		if err != nil {
			return nil, err
		}
		if host != noHost && !slices.Contains(all, host) {
			all = append(all, host)
		}
	}
	return all, nil
}

// listOf returns the allowlist's node, a sequence of scalars.
func listOf(root *yaml.Node) (*yaml.Node, error) {
	list := value(root, allowlist)
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil, errors.New("pipelock.yaml: api_allowlist is no list")
	}
	for _, item := range list.Content {
		if item.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("pipelock.yaml: line %d: an entry of api_allowlist is no host", item.Line)
		}
	}
	return list, nil
}

// inLines edits a list of one "- host" a line.
func inLines(src []byte, list *yaml.Node, wanted []string) ([]byte, error) {
	lines := bytes.SplitAfter(src, []byte("\n"))
	first, last := list.Content[0], list.Content[len(list.Content)-1]
	lead, err := dash(lines, first)
	if err != nil {
		return nil, err
	}
	newline := "\n"
	if bytes.HasSuffix(lines[first.Line-1], []byte("\r\n")) {
		newline = "\r\n"
	}

	kept := make(map[string]bool)
	drop := make(map[int]bool)
	for _, item := range list.Content {
		if _, err := dash(lines, item); err != nil {
			return nil, err
		}
		if host, err := pattern(item.Value); err == nil && slices.Contains(wanted, host) {
			kept[host] = true
		} else {
			drop[item.Line] = true
		}
	}
	var out []byte
	for i, line := range lines {
		if !drop[i+1] {
			out = append(out, line...)
		}
		if i+1 != last.Line {
			continue
		}
		for _, host := range wanted {
			if kept[host] {
				continue
			}
			if len(out) > 0 && out[len(out)-1] != '\n' {
				out = append(out, newline...)
			}
			out = append(out, lead+quoted(host)+newline...)
		}
	}
	return out, nil
}

// dash returns what stands before an item's host on its line: "  - ".
func dash(lines [][]byte, item *yaml.Node) (string, error) {
	if line := lines[item.Line-1]; item.Column-1 <= len(line) {
		if lead := string(line[:item.Column-1]); strings.TrimLeft(strings.TrimRight(lead, " \t"), " ") == "-" {
			return lead, nil
		}
	}
	return "", fmt.Errorf("pipelock.yaml: line %d: write each host of api_allowlist as \"- host\" on a line of its own", item.Line)
}

// inBrackets rewrites a list in brackets.
func inBrackets(src []byte, list *yaml.Node, wanted []string) ([]byte, error) {
	start := 0
	for range list.Line - 1 {
		start += bytes.IndexByte(src[start:], '\n') + 1
	}
	for range list.Column - 1 {
		_, size := utf8.DecodeRune(src[start:])
		start += size
	}
	end := closing(src, start)
	if end < 0 {
		return nil, fmt.Errorf("pipelock.yaml: line %d: cannot tell where api_allowlist ends", list.Line)
	}
	texts := make([]string, len(wanted))
	for i, host := range wanted {
		texts[i] = quoted(host)
	}
	return slices.Concat(src[:start], []byte("["+strings.Join(texts, ", ")+"]"), src[end:]), nil
}

// closing returns the offset behind the bracket that closes the one at start,
// in a list of scalars; -1 = there is none.
func closing(src []byte, start int) int {
	if start >= len(src) || src[start] != '[' {
		return -1
	}
	var quote byte
	for i := start + 1; i < len(src); i++ {
		switch c := src[i]; {
		case quote == '"' && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#' && strings.ContainsRune(" \t\n[,", rune(src[i-1])):
			eol := bytes.IndexByte(src[i:], '\n')
			if eol < 0 {
				return -1
			}
			i += eol
		case c == ']':
			return i + 1
		}
	}
	return -1
}

// unquoted matches names that YAML takes for nothing but a string.
var unquoted = regexp.MustCompile(`^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)+$`)

func quoted(host string) string {
	if unquoted.MatchString(host) {
		return host
	}
	return `"` + host + `"`
}

// onlyListChanged proves an edit by reading it back.
func onlyListChanged(before *yaml.Node, edited []byte, wanted []string) error {
	after, err := load(edited)
	if err != nil {
		return fmt.Errorf("api_allowlist cannot be edited in place: %w", err)
	}
	list, err := listOf(after)
	if err != nil {
		return err
	}
	var got []string
	for _, item := range list.Content {
		host, err := pattern(item.Value)
		if err != nil {
			return fmt.Errorf("api_allowlist cannot be edited in place: %w", err)
		}
		got = append(got, host)
	}
	if !sameSet(got, wanted) || !sameBut(before, after) {
		return errors.New("pipelock.yaml: api_allowlist cannot be edited in place; write it as one \"- host\" a line")
	}
	return nil
}

// sameBut reports whether two roots agree in all but the allowlist.
func sameBut(a, b *yaml.Node) bool {
	if len(a.Content) != len(b.Content) {
		return false
	}
	for i := 0; i+1 < len(a.Content); i += 2 {
		if !same(a.Content[i], b.Content[i]) || a.Content[i].Value != allowlist && !same(a.Content[i+1], b.Content[i+1]) {
			return false
		}
	}
	return true
}

func same(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.Tag == b.Tag && a.Value == b.Value && slices.EqualFunc(a.Content, b.Content, same)
}

func sameSet(a, b []string) bool {
	contains := func(list []string) func(string) bool {
		return func(s string) bool { return !slices.Contains(list, s) }
	}
	return !slices.ContainsFunc(a, contains(b)) && !slices.ContainsFunc(b, contains(a))
}
