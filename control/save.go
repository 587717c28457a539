package control

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"github.com/claude-bottle/claude-bottle/internal/atomicfile"
	"github.com/claude-bottle/claude-bottle/manifest"
	"github.com/claude-bottle/claude-bottle/preset"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/state"
)

// Saving is a route about to be written into a bottle file.
type Saving struct {
	home   state.Home
	bottle string
	// Path is the bottle file.
	Path          string
	before, after []byte
}

// Diff is the difference of the bottle file, unified.
func (s *Saving) Diff() string {
	return Diff(s.Path, s.before, s.Path+" with the route", s.after)
}

// Save prepares to write a route into a bottle file, as one for every later
// bottle: without grant and end. Every other byte of the file stays. Nothing is
// written yet.
func Save(home state.Home, bottle string, r routes.Route) (*Saving, error) {
	loaded, err := manifest.LoadBottle(home, bottle)
	if err != nil {
		return nil, err
	}
	if name := presetOf(loaded.Presets, r.Host); name != "" {
		return nil, fmt.Errorf("%s is a host of the preset %s, whose route a route of the bottle file would replace: write it by hand as you mean it", r.Host, name)
	}
	s := &Saving{home: home, bottle: bottle, Path: filepath.Join(home.Bottles(), bottle+".md")}
	if s.before, err = os.ReadFile(s.Path); err != nil {
		return nil, err
	}
	r.Grant, r.Expires, r.Uses, r.Auth = "", zeroTime, 0, nil
	if s.after, err = insertRoute(s.before, r); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Path, err)
	}
	return s, nil
}

func presetOf(names []string, host string) string {
	for _, name := range names {
		p, err := preset.Lookup(name)
		if err != nil {
			continue
		}
		if slices.ContainsFunc(p.Routes, func(r routes.Route) bool { return r.Host == host }) {
			return name
		}
	}
	return ""
}

// Write writes the bottle file. One that was changed since Save is an error; one
// that could not be used afterwards is put back as it was.
func (s *Saving) Write() error {
	path, err := filepath.EvalSymlinks(s.Path) // the operator may keep it elsewhere
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	now, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(now, s.before) {
		return fmt.Errorf("%s was changed meanwhile and was left as it is", s.Path)
	}
	if err := atomicfile.ReplaceDurably(path, s.after, info.Mode().Perm()); err != nil {
		return err
	}
	if _, err := manifest.LoadBottle(s.home, s.bottle); err != nil {
		return errors.Join(fmt.Errorf("%s with the route cannot be used: %w", s.Path, err), atomicfile.ReplaceDurably(path, s.before, info.Mode().Perm()))
	}
	return nil
}

// fence stands around the front matter.
const fence = "---"

// insertRoute adds a route to the front matter of a bottle file.
func insertRoute(src []byte, r routes.Route) ([]byte, error) {
	front, start, err := frontMatter(src)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Load(front, &doc); err != nil {
		return nil, err
	}
	table, err := routes.New([]routes.Route{r})
	if err != nil {
		return nil, err
	}
	at, text, err := placeFor(front, &doc, table.Render())
	if err != nil {
		return nil, err
	}
	edited := slices.Concat(front[:at], text, front[at:])
	if err := onlyAdded(front, edited); err != nil {
		return nil, err
	}
	return slices.Concat(src[:start], edited, src[start+len(front):]), nil
}

// frontMatter returns the YAML of a bottle file and where it begins.
func frontMatter(src []byte) (front []byte, start int, err error) {
	offset := 0
	for i, line := range bytes.SplitAfter(src, []byte("\n")) {
		text := strings.TrimRight(string(line), " \t\r\n")
		switch {
		case i == 0 && text != fence:
			return nil, 0, errors.New("the file has no front matter")
		case i == 0:
			start = len(line)
		case text == fence:
			return src[start:offset], start, nil
		}
		offset += len(line)
	}
	return nil, 0, errors.New("the front matter has no end")
}

// errByHand says that a file is written in a way that text cannot be added to.
var errByHand = errors.New("its egress section is not one that a route can be added to: write egress.routes as a list of one route an item, or add the route by hand")

// placeFor finds where a rendered route goes, and its text there.
func placeFor(front []byte, doc *yaml.Node, rendered []byte) (at int, text []byte, err error) {
	newline := "\n"
	if bytes.Contains(front, []byte("\r\n")) {
		newline = "\r\n"
	}
	items := strings.Split(strings.TrimSuffix(strings.TrimPrefix(string(rendered), "routes:\n"), "\n"), "\n")
	block := func(indent int, head ...string) []byte {
		lines := head
		for _, line := range items {
			lines = append(lines, strings.Repeat(" ", indent)+line)
		}
		return []byte(strings.Join(lines, newline) + newline)
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return 0, nil, errByHand
	}
	top := doc.Content[0]
	egress := valueOf(top, "egress")
	switch {
	case egress == nil && valueOf(top, "extends") != nil:
		return 0, nil, errors.New("it takes its egress from the file that it extends, and a section of its own would replace that: add the route there by hand")
	case egress == nil:
		return len(front), block(4, "egress:", "  routes:"), nil
	case egress.Kind != yaml.MappingNode || egress.Style&yaml.FlowStyle != 0 || len(egress.Content) == 0:
		return 0, nil, errByHand
	}
	indent := egress.Content[0].Column - 1
	list := valueOf(egress, "routes")
	switch {
	case list == nil:
		return lineAfter(front, lastLine(egress)), block(indent+2, strings.Repeat(" ", indent)+"routes:"), nil
	case list.Kind != yaml.SequenceNode || list.Style&yaml.FlowStyle != 0 || len(list.Content) == 0:
		return 0, nil, errByHand
	}
	return lineAfter(front, lastLine(list)), block(list.Column - 1), nil
}

func valueOf(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// lastLine is the line of the last node inside a node.
func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, child := range n.Content {
		last = max(last, lastLine(child))
	}
	return last
}

// lineAfter is the offset behind a line, counted from one.
func lineAfter(text []byte, line int) int {
	offset := 0
	for i, l := range bytes.SplitAfter(text, []byte("\n")) {
		if i == line {
			break
		}
		offset += len(l)
	}
	return offset
}

// onlyAdded proves an insertion: read back, the front matter has one route more
// at the end and nothing else is different.
func onlyAdded(before, after []byte) error {
	var a, b map[string]any
	if err := yaml.Load(before, &a); err != nil {
		return err
	}
	if err := yaml.Load(after, &b); err != nil {
		return errByHand
	}
	egressBefore, _ := a["egress"].(map[string]any)
	egressAfter, ok := b["egress"].(map[string]any)
	if !ok {
		return errByHand
	}
	listBefore, _ := egressBefore["routes"].([]any)
	listAfter, _ := egressAfter["routes"].([]any)
	if len(listAfter) != len(listBefore)+1 || len(listBefore) > 0 && !reflect.DeepEqual(listAfter[:len(listBefore)], listBefore) {
		return errByHand
	}
	delete(egressBefore, "routes")
	delete(egressAfter, "routes")
	delete(a, "egress")
	delete(b, "egress")
	if len(egressBefore)+len(egressAfter) > 0 && !reflect.DeepEqual(egressBefore, egressAfter) || len(a)+len(b) > 0 && !reflect.DeepEqual(a, b) {
		return errByHand
	}
	return nil
}
