// Package strictyaml reads YAML that a person wrote. A key that the target
// does not know is an error with its line and the key that was probably meant.
package strictyaml

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	yaml "go.yaml.in/yaml/v4"
)

// Error is one thing wrong with a file. Line counts from 1; 0 is unknown.
type Error struct {
	Line    int
	Message string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Message)
}

// Load decodes one YAML document into the struct that out points to. Every
// *Error it finds is joined in the order of the lines; errors of out's own
// UnmarshalYAML methods are among them. An empty document leaves out alone.
func Load(src []byte, out any) error {
	var documents []yaml.Node
	if err := yaml.Load(src, &documents, yaml.WithAllDocuments()); err != nil {
		return fromLibrary(err)
	}
	if len(documents) == 0 || len(documents[0].Content) == 0 {
		return nil
	}
	if len(documents) > 1 {
		return &Error{documents[1].Line, "a second YAML document begins here; only one is read"}
	}
	var found []*Error
	repeatedKeys(documents[0].Content[0], &found)
	unknownKeys(documents[0].Content[0], reflect.TypeOf(out).Elem(), 0, &found)
	if len(found) > 0 {
		return join(found)
	}
	if err := yaml.Load(src, out, yaml.WithKnownFields()); err != nil {
		return fromLibrary(err)
	}
	return nil
}

// Node decodes a node within an UnmarshalYAML method, as Load does.
func Node(node *yaml.Node, out any) error {
	var found []*Error
	unknownKeys(node, reflect.TypeOf(out).Elem(), 0, &found)
	if len(found) > 0 {
		return join(found)
	}
	return node.Decode(out)
}

// maxDepth bounds the walk; aliases may make a document refer to itself.
const maxDepth = 32

var (
	ownYAML = reflect.TypeFor[yaml.Unmarshaler]()
	ownText = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// unknownKeys follows node and the type it is decoded into side by side.
func unknownKeys(node *yaml.Node, t reflect.Type, depth int, found *[]*Error) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if depth > maxDepth || node == nil {
		return
	}
	if p := reflect.PointerTo(t); p.Implements(ownYAML) || p.Implements(ownText) {
		return
	}
	switch {
	case t.Kind() == reflect.Pointer:
		unknownKeys(node, t.Elem(), depth+1, found)
	case t.Kind() == reflect.Slice && node.Kind == yaml.SequenceNode:
		for _, child := range node.Content {
			unknownKeys(child, t.Elem(), depth+1, found)
		}
	case t.Kind() == reflect.Map && node.Kind == yaml.MappingNode:
		for i := 1; i < len(node.Content); i += 2 {
			unknownKeys(node.Content[i], t.Elem(), depth+1, found)
		}
	case t.Kind() == reflect.Struct && node.Kind == yaml.MappingNode:
		known := keysOf(t)
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			field, ok := known[key.Value]
			if !ok {
				*found = append(*found, &Error{key.Line, unknown(key.Value, known)})
				continue
			}
			unknownKeys(node.Content[i+1], field, depth+1, found)
		}
	}
}

// repeatedKeys finds keys that a mapping has twice. The library finds them too,
// but by comparing each key with every other and an error for each pair.
func repeatedKeys(node *yaml.Node, found *[]*Error) {
	if node.Kind == yaml.MappingNode {
		lines := make(map[string]int, len(node.Content)/2)
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if key.Kind != yaml.ScalarNode {
				*found = append(*found, &Error{key.Line, "a key that is no plain text"})
				continue
			}
			if line, ok := lines[key.Value]; ok {
				*found = append(*found, &Error{key.Line, fmt.Sprintf("mapping key %q already defined at line %d", short(key.Value), line)})
				continue
			}
			lines[key.Value] = key.Line
		}
	}
	for _, child := range node.Content {
		repeatedKeys(child, found)
	}
}

// keysOf returns the keys of a struct with the types of their values.
func keysOf(t reflect.Type) map[string]reflect.Type {
	keys := make(map[string]reflect.Type, t.NumField())
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			keys[name] = field.Type
		}
	}
	return keys
}

func unknown(key string, known map[string]reflect.Type) string {
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	if name := Closest(key, names); name != "" {
		return fmt.Sprintf("unknown key %q; did you mean %q?", short(key), name)
	}
	slices.Sort(names)
	return fmt.Sprintf("unknown key %q; the keys here are %s", short(key), strings.Join(names, ", "))
}

// Closest returns the name that was probably meant by text, "" if none is near.
func Closest(text string, names []string) string {
	text = short(strings.ToLower(text))
	limit := 2 // two letters swapped count as two edits
	switch {
	case len(text) < 4:
		limit = 1
	case len(text) > 8:
		limit = 3
	}
	// Of two names equally far the one with the same first letter is meant.
	best, cost := "", 2*limit+1
	for _, name := range names {
		c := 2 * levenshtein.ComputeDistance(text, strings.ToLower(name))
		if text != "" && !strings.HasPrefix(strings.ToLower(name), text[:1]) {
			c++
		}
		if c < cost || c == cost && best != "" && name < best {
			best, cost = name, c
		}
	}
	return best
}

func short(text string) string {
	if len(text) > 60 {
		return strings.ToValidUTF8(text[:60], "") + "…"
	}
	return text
}

// fromLibrary brings the YAML library's errors into this package's form.
func fromLibrary(err error) error {
	var several *yaml.LoadErrors
	var one *yaml.LoadError
	switch {
	case errors.As(err, &several):
		var found []*Error
		for _, e := range several.Errors {
			found = append(found, convert(e)...)
		}
		return join(found)
	case errors.As(err, &one):
		return join(convert(one))
	}
	return err
}

func convert(e *yaml.LoadError) []*Error {
	var nested []*Error
	collect(e.Unwrap(), &nested)
	if len(nested) > 0 {
		return nested
	}
	text := e.Message
	if text == "" && e.Unwrap() != nil {
		text = e.Unwrap().Error()
	}
	return []*Error{{e.Mark.Line, plain(text)}}
}

// mismatch is how the library says that a value has the wrong type.
var mismatch = regexp.MustCompile("(?s)^cannot construct !!(\\w+)(?: `(.*)`)? into (.+)$")

// plain says in words what a value is and what it should be.
func plain(text string) string {
	m := mismatch.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	is, should := fmt.Sprintf("%q", short(m[2])), "of another form"
	switch {
	case m[1] == "seq":
		is = "a list"
	case m[1] == "map":
		is = "a group of keys"
	}
	switch {
	case m[3] == "bool":
		should = "true or false"
	case m[3] == "string":
		should = "one text"
	case m[3] == "uint16":
		should = "a number from 0 to 65535"
	case strings.HasPrefix(m[3], "int"), strings.HasPrefix(m[3], "uint"):
		should = "a whole number"
	case strings.HasPrefix(m[3], "[]"):
		should = "a list"
	case strings.HasPrefix(m[3], "map["), strings.Contains(m[3], "."):
		should = "a group of keys"
	}
	return is + " stands where " + should + " is expected"
}

// collect finds the *Errors that an UnmarshalYAML method returned.
func collect(err error, into *[]*Error) {
	switch e := err.(type) {
	case nil:
	case *Error:
		*into = append(*into, e)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			collect(inner, into)
		}
	default:
		collect(errors.Unwrap(err), into)
	}
}

// maxErrors is how many errors are told at once.
const maxErrors = 20

func join(found []*Error) error {
	slices.SortStableFunc(found, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	errs := make([]error, 0, maxErrors+1)
	for i, e := range found {
		if i == maxErrors {
			errs = append(errs, &Error{Message: fmt.Sprintf("and %d more errors", len(found)-i)})
			break
		}
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}
