package gitgate

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/claude-bottle/claude-bottle/internal/gitpack"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

const (
	// maxFindings is how many different secrets one refusal names.
	maxFindings = 10
	// maxCounted is where counting them ends.
	maxCounted = 10_000
)

// inspector scans every object of a push. It reads nothing that the push says
// about scanning. While the pack is read other goroutines scan and count; finish
// then names the first secrets.
type inspector struct {
	scanner *secretscan.Scanner
	format  gitpack.Format
	scope   string
	cleared func(secretscan.Finding) bool
	found   []found
	named   map[string]bool // fingerprints in found

	counting errgroup.Group
	streamed map[int]bool // entries that are not held
	mu       sync.Mutex
	all      map[string]sighting // by fingerprint
	cause    any                 // what a goroutine panicked with
}

// sighting is a secret that was counted.
type sighting struct {
	rule  string
	entry int // the first one it stands in
}

// found is a secret in a push.
type found struct {
	rule        string
	fingerprint string
	// line is 0 for a secret that stands in pieces in several entries.
	line int
	// object is the entry of the pack it stands in, -1 outside of the pack;
	// what is in words what it stands in when that is no blob.
	object int
	what   string
}

// outside stands for an entry where something is not in the pack.
const outside = -1

// newInspector scans for one repository; cleared knows the findings that the
// operator let pass.
func newInspector(scanner *secretscan.Scanner, format gitpack.Format, repository string, cleared func(secretscan.Finding) bool) *inspector {
	i := &inspector{
		scanner: scanner, format: format, scope: "git/" + repository, cleared: cleared,
		named: make(map[string]bool), streamed: make(map[int]bool), all: make(map[string]sighting),
	}
	i.counting.SetLimit(runtime.GOMAXPROCS(0))
	return i
}

// unnamed is how many different secrets were found beside those in found.
func (i *inspector) unnamed() int { return len(i.all) - len(i.found) }

// counter passes over whatever it finds in an entry and counts it.
func (i *inspector) counter(n int) *secretscan.Scanner {
	return i.scanner.For(i.scope, func(f secretscan.Finding) bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		first, known := i.all[f.Fingerprint]
		switch {
		case i.cleared(f):
		case known:
			first.entry = min(first.entry, n)
			i.all[f.Fingerprint] = first
		case len(i.all) < maxCounted:
			i.all[f.Fingerprint] = sighting{f.Rule, n}
		}
		return true
	})
}

// aside scans what is not in the pack.
func (i *inspector) aside(what string, text []byte) {
	i.counter(outside).Bytes(what, text)
	i.name(outside, what, text)
	i.nameRest(outside, what)
}

// Object implements gitpack.Visitor.
func (i *inspector) Object(n int, _ gitpack.ID, t gitpack.Type, data []byte) error {
	text, err := i.text(t, data)
	if err != nil {
		return err
	}
	text = bytes.Clone(text)
	i.counting.Go(func() error {
		defer func() {
			if cause := recover(); cause != nil {
				i.mu.Lock()
				defer i.mu.Unlock()
				i.cause = cause
			}
		}()
		i.counter(n).Bytes("", text)
		return nil
	})
	return nil
}

// Blob implements gitpack.Visitor.
func (i *inspector) Blob(n int, _ int64, content io.Reader) error {
	i.streamed[n] = true
	_, err := io.Copy(io.Discard, i.counter(n).Reader("", content))
	return err
}

// wait returns when all that was shown is counted. It panics with what a
// goroutine panicked with.
func (i *inspector) wait() {
	_ = i.counting.Wait() // they return none
	if i.cause != nil {
		panic(i.cause)
	}
}

// text is what of an object is scanned. Objects that are damaged are errors.
func (i *inspector) text(t gitpack.Type, data []byte) ([]byte, error) {
	switch t {
	case gitpack.Tree:
		entries, err := i.format.TreeEntries(data)
		return chosen(entries), err
	case gitpack.Commit:
		_, _, err := i.format.CommitLinks(data)
		return data, err
	case gitpack.Tag:
		_, err := i.format.TagLink(data)
		return data, err
	case gitpack.Blob:
		return data, nil
	}
	return nil, errors.New("an object of no known type")
}

// chosen joins what in a tree is free to be chosen: names, and the ids, since
// nobody need have an object of that id.
func chosen(entries []gitpack.TreeEntry) []byte {
	var text bytes.Buffer
	for _, e := range entries {
		text.WriteString(e.Name)
		text.WriteByte('\n')
	}
	for _, e := range entries {
		text.WriteString(string(e.ID))
	}
	return text.Bytes()
}

// finish waits until all is counted and finds where in the pack the first
// secrets stand.
func (i *inspector) finish(pack *gitpack.Pack) error {
	i.wait()
	var entries []int
	for _, s := range i.all {
		entries = append(entries, s.entry)
	}
	slices.Sort(entries)
	for _, n := range slices.Compact(entries) {
		if n == outside || len(i.found) == maxFindings {
			continue
		}
		if err := i.nameIn(pack, n); err != nil {
			return err
		}
		i.nameRest(n, "")
	}
	return nil
}

// nameRest notes what was counted in an entry and is not in it alone.
func (i *inspector) nameRest(n int, what string) {
	for _, fingerprint := range slices.Sorted(maps.Keys(i.all)) {
		s := i.all[fingerprint]
		if s.entry == n && !i.named[fingerprint] && len(i.found) < maxFindings {
			i.named[fingerprint] = true
			i.found = append(i.found, found{rule: s.rule, fingerprint: fingerprint, object: n, what: what})
		}
	}
}

func (i *inspector) nameIn(pack *gitpack.Pack, n int) error {
	if i.streamed[n] {
		return i.nameStreamed(pack, n)
	}
	id, t := pack.At(n)
	_, data, err := pack.Get(id)
	if err != nil {
		return err
	}
	text, err := i.text(t, data)
	if err != nil {
		return err
	}
	switch t {
	case gitpack.Commit:
		i.nameHeaded(n, "the author or header", text)
	case gitpack.Tag:
		i.nameHeaded(n, "the tagger or header", text)
	default:
		i.name(n, "", text)
	}
	return nil
}

// name notes each secret in a text that is neither cleared nor named.
func (i *inspector) name(n int, what string, text []byte) {
	for len(i.found) < maxFindings {
		f := i.naming().Bytes(what, text)
		if f == nil {
			return
		}
		i.note(n, what, f)
	}
}

func (i *inspector) nameStreamed(pack *gitpack.Pack, n int) error {
	for len(i.found) < maxFindings {
		content, err := pack.Open(n)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, i.naming().Reader("", content))
		f, ok := errors.AsType[*secretscan.Finding](err)
		if !ok {
			return err
		}
		i.note(n, "", f)
	}
	return nil
}

// nameHeaded tells a header from the message after its empty line. They are
// scanned together, so that nothing is hidden at the border.
func (i *inspector) nameHeaded(n int, header string, text []byte) {
	before := len(i.found)
	i.name(n, header, text)
	end := bytes.Index(text, []byte("\n\n"))
	if end < 0 {
		return
	}
	headerLines := bytes.Count(text[:end], []byte("\n")) + 2
	for k := before; k < len(i.found); k++ {
		if f := &i.found[k]; f.line > headerLines {
			f.line -= headerLines
			f.what = "the message"
		}
	}
}

func (i *inspector) naming() *secretscan.Scanner {
	return i.scanner.For(i.scope, func(f secretscan.Finding) bool {
		return i.named[f.Fingerprint] || i.cleared(f)
	})
}

func (i *inspector) note(n int, what string, f *secretscan.Finding) {
	i.named[f.Fingerprint] = true
	i.found = append(i.found, found{rule: f.Rule, fingerprint: f.Fingerprint, line: f.Line, object: n, what: what})
}
