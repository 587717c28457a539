package routes

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/agnivade/levenshtein"
	yaml "go.yaml.in/yaml/v4"
)

// file is the shape of routes.yaml.
type file struct {
	Routes []Route `yaml:"routes"`
}

// Parse reads and validates a routes file. Unknown and repeated keys, empty
// values, anchors and aliases are errors; every error names its line and
// shows no secret. A file without routes is a valid, empty table.
func Parse(b []byte) (*Table, error) {
	t, _, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	return t, nil
}

// parse returns the document node too; nil when the file holds no document.
func parse(b []byte) (*Table, *yaml.Node, error) {
	if len(b) > maxBytes {
		return nil, nil, fmt.Errorf("the file is longer than %d bytes", maxBytes)
	}
	var doc *yaml.Node
	var f file
	if !blank(b) {
		doc = new(yaml.Node)
		if err := yaml.Load(b, doc); err != nil {
			return nil, nil, loadError(err)
		}
		if err := checkNode(doc.Content[0], reflect.TypeFor[file](), "the file"); err != nil {
			return nil, nil, err
		}
		if err := yaml.Load(b, &f, yaml.WithKnownFields(), yaml.WithUniqueKeys()); err != nil {
			return nil, nil, loadError(err)
		}
	}
	t, err := build(f.Routes)
	if err != nil {
		return nil, nil, locate(doc, err)
	}
	for i, node := range routeNodes(doc) {
		if err := checkLimits(node, t.rules[i].Route); err != nil {
			return nil, nil, err
		}
	}
	t.sha256 = digest(b)
	return t, doc, nil
}

// blank reports whether there is nothing but comments, which YAML calls no
// document at all.
func blank(b []byte) bool {
	for line := range bytes.Lines(b) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// checkNode walks node along the Go type it will be read into: mappings hold
// known keys alone, and nothing is null, an empty list, an anchor or an alias.
func checkNode(node *yaml.Node, t reflect.Type, what string) error {
	if node.Kind == yaml.AliasNode || node.Anchor != "" {
		return fmt.Errorf("line %d: anchors and aliases are not read here: write the value out", node.Line)
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	keys := yamlKeys(t)
	switch {
	case keys != nil && node.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i], node.Content[i+1]
			field, ok := keys[key.Value]
			if !ok || key.Kind != yaml.ScalarNode {
				return fmt.Errorf("line %d: unknown key %q%s", key.Line, key.Value, suggest(key.Value, keys))
			}
			empty := value.Tag == "!!null" || value.Kind == yaml.SequenceNode && len(value.Content) == 0
			if empty && key.Value != "routes" {
				return fmt.Errorf("line %d: %s is empty: give a value or leave the key out", key.Line, key.Value)
			}
			if err := checkNode(value, field, key.Value); err != nil {
				return err
			}
		}
	case keys != nil && !(node.Tag == "!!null" && t == reflect.TypeFor[file]()):
		return fmt.Errorf("line %d: %s must be a mapping of keys to values", node.Line, what)
	case t.Kind() == reflect.Slice && node.Kind == yaml.SequenceNode:
		for _, item := range node.Content {
			if item.Tag == "!!null" {
				return fmt.Errorf("line %d: an entry of %s is empty: give a value or remove it", item.Line, what)
			}
			if err := checkNode(item, t.Elem(), "an entry of "+what); err != nil {
				return err
			}
		}
	}
	return nil
}

// yamlKeys are the keys of a struct of this package; nil for other types.
func yamlKeys(t reflect.Type) map[string]reflect.Type {
	if t.Kind() != reflect.Struct || t.PkgPath() != reflect.TypeFor[Route]().PkgPath() {
		return nil
	}
	keys := make(map[string]reflect.Type, t.NumField())
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		keys[name] = field.Type
	}
	return keys
}

func suggest(key string, keys map[string]reflect.Type) string {
	best, distance := "", 4
	for known := range keys {
		d := levenshtein.ComputeDistance(strings.ToLower(key), known)
		if d < distance || d == distance && known < best {
			best, distance = known, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %q?", best)
}

// checkLimits refuses limits that are written down and yet mean none.
func checkLimits(node *yaml.Node, r Route) error {
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if key.Value == "uses" && r.Uses == 0 || key.Value == "expires" && r.Expires.IsZero() {
			return fmt.Errorf("line %d: %s is no limit: give one or leave the key out", key.Line, key.Value)
		}
	}
	return nil
}

// routeNodes are the items of the list of routes.
func routeNodes(doc *yaml.Node) []*yaml.Node {
	if doc == nil {
		return nil
	}
	for i, top := 0, doc.Content[0]; i+1 < len(top.Content); i += 2 {
		if top.Content[i].Value == "routes" {
			return top.Content[i+1].Content
		}
	}
	return nil
}

// locate puts the line in front of an error of build.
func locate(doc *yaml.Node, err error) error {
	var at *routeError
	if !errors.As(err, &at) {
		return err
	}
	node := routeNodes(doc)[at.index]
	line := node.Line
	var field *fieldError
	if errors.As(err, &field) {
		if n := keyLine(node, field.key); n > 0 {
			line = n
		}
	}
	return fmt.Errorf("line %d: %w", line, at.err)
}

// keyLine is the line of a key in a mapping or in one inside it; 0 if absent.
func keyLine(node *yaml.Node, key string) int {
	for i := 0; i+1 < len(node.Content) && node.Kind == yaml.MappingNode; i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i].Line
		}
		if n := keyLine(node.Content[i+1], key); n > 0 {
			return n
		}
	}
	return 0
}

// loadError puts YAML's own errors in our words.
func loadError(err error) error {
	var all *yaml.LoadErrors
	if errors.As(err, &all) && len(all.Errors) > 0 {
		return loadError(all.Errors[0])
	}
	var one *yaml.LoadError
	if errors.As(err, &one) && one.Mark.Line > 0 {
		return fmt.Errorf("line %d: %s", one.Mark.Line, strings.TrimPrefix(one.Message, "yaml: "))
	}
	return fmt.Errorf("not readable as YAML: %w", err)
}
