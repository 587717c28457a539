package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"
)

// Child is what belongs to one child process alone. Empty strings leave the
// file's value, except for SecretsFile.
type Child struct {
	// Listen is the private address the child will serve.
	Listen        string
	CACert, CAKey string
	// SecretsFile is removed from the configuration when empty.
	SecretsFile string
}

// ForChild returns the configuration of one child, made from src: all blocks
// of src, with c's values. It refuses a file that does not enforce its
// allowlist or opens a listener of its own, which would be a way around egress.
func ForChild(src []byte, c Child) ([]byte, error) {
	root, err := load(src)
	if err != nil {
		return nil, err
	}
	if err := noDoors(root, ""); err != nil {
		return nil, err
	}
	for _, set := range []struct{ block, key, value string }{
		{"fetch_proxy", "listen", c.Listen},
		{"tls_interception", "ca_cert", c.CACert},
		{"tls_interception", "ca_key", c.CAKey},
		{"dlp", "secrets_file", c.SecretsFile},
	} {
		block := value(root, set.block)
		switch {
		case block == nil || block.Kind != yaml.MappingNode:
			return nil, fmt.Errorf("pipelock.yaml: block %s is missing", set.block)
		case set.value != "":
			put(block, set.key, set.value)
		case set.key == "secrets_file":
			remove(block, set.key)
		}
	}
	put(root, "metrics_listen", loopbackAny)

	out, err := yaml.Dump(root)
	if err != nil {
		return nil, fmt.Errorf("pipelock.yaml: %w", err)
	}
	// What the child will read is judged, not what was meant.
	var result Config
	if err := yaml.Load(out, &result); err != nil {
		return nil, fmt.Errorf("pipelock.yaml: %w", err)
	}
	if err := result.check(); err != nil {
		return nil, err
	}
	return out, nil
}

// oddBreaks are what readers count differently: other line breaks, NUL and the
// byte order mark.
const oddBreaks = "\x00\u0085\u2028\u2029\ufeff"

// load returns the mapping of a file's only document, which must not use
// anchors: what a key holds must be visible where it stands.
func load(src []byte) (*yaml.Node, error) {
	if len(src) > maxSize {
		return nil, fmt.Errorf("pipelock.yaml is longer than %d bytes", maxSize)
	}
	if !utf8.Valid(src) || bytes.ContainsAny(src, oddBreaks) || bytes.Count(src, []byte("\r")) != bytes.Count(src, []byte("\r\n")) {
		return nil, errors.New("pipelock.yaml: not plain UTF-8 text with ordinary line ends")
	}
	var documents []yaml.Node
	if err := yaml.Load(src, &documents, yaml.WithAllDocuments()); err != nil {
		return nil, fmt.Errorf("pipelock.yaml: %w", err)
	}
	if len(documents) != 1 || len(documents[0].Content) != 1 || documents[0].Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("pipelock.yaml: not one YAML mapping")
	}
	root := documents[0].Content[0]
	return root, plain(root)
}

// plain refuses anchors, aliases, merge keys and keys that stand twice.
func plain(n *yaml.Node) error {
	seen := make(map[string]bool)
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		key := n.Content[i]
		if seen[key.Value] {
			return fmt.Errorf("pipelock.yaml: line %d: key %q stands twice", key.Line, key.Value)
		}
		seen[key.Value] = true
	}
	if n.Anchor != "" || n.Kind == yaml.AliasNode || n.Tag == "!!merge" {
		return fmt.Errorf("pipelock.yaml: line %d: anchors, aliases and merge keys are not supported; write the value out", n.Line)
	}
	for _, child := range n.Content {
		if err := plain(child); err != nil {
			return err
		}
	}
	return nil
}

// noDoors refuses every listener but the two that ForChild sets.
func noDoors(n *yaml.Node, path string) error {
	for i, child := range n.Content {
		here := path
		if n.Kind == yaml.MappingNode {
			if i%2 == 0 {
				continue
			}
			key := n.Content[i-1].Value
			here = path + key
			switch {
			case here == "fetch_proxy.listen" || here == "metrics_listen":
			case strings.HasSuffix(key, "listen") || strings.HasSuffix(key, "listeners"):
				return fmt.Errorf("pipelock.yaml: line %d: %s would open a way around egress; remove it", n.Content[i-1].Line, here)
			}
			here += "."
		}
		if err := noDoors(child, here); err != nil {
			return err
		}
	}
	return nil
}

// value returns what a mapping holds under key; nil = nothing.
func value(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

func put(mapping *yaml.Node, key, text string) {
	fresh := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if old := value(mapping, key); old != nil {
		*old = *fresh
		return
	}
	mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, fresh)
}

func remove(mapping *yaml.Node, key string) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			mapping.Content = append(mapping.Content[:i:i], mapping.Content[i+2:]...)
			return
		}
	}
}
