// Package gitpack reads packs that strangers wrote. It accepts only packs that
// are whole in themselves, refuses whatever git and it could understand
// differently, shows every object to a Visitor, and stays within Limits. Use
// Read; what a pack holds is then found by id.
package gitpack

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Type of an object, as packs number them.
type Type uint8

// The types.
const (
	Commit Type = 1
	Tree   Type = 2
	Blob   Type = 3
	Tag    Type = 4

	offsetDelta    Type = 6
	referenceDelta Type = 7
)

// String is the name that stands in an object's header.
func (t Type) String() string {
	switch t {
	case Commit:
		return "commit"
	case Tree:
		return "tree"
	case Blob:
		return "blob"
	case Tag:
		return "tag"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Format is a repository's object format.
type Format uint8

// The formats. The zero Format is git's default.
const (
	SHA1 Format = iota
	SHA256
)

// Size of an id in bytes.
func (f Format) Size() int {
	if f == SHA256 {
		return sha256.Size
	}
	return sha1.Size
}

func (f Format) hash() hash.Hash {
	if f == SHA256 {
		return sha256.New()
	}
	return sha1.New()
}

// String is git's name of the format.
func (f Format) String() string {
	if f == SHA256 {
		return "sha256"
	}
	return "sha1"
}

// ID is an object's id, its raw bytes.
type ID string

// String is the id in hex.
func (id ID) String() string { return hex.EncodeToString([]byte(id)) }

// Zero tells whether id stands for no object.
func (id ID) Zero() bool {
	for i := range len(id) {
		if id[i] != 0 {
			return false
		}
	}
	return true
}

// ParseID reads an id in lower-case hex.
func (f Format) ParseID(text string) (ID, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != f.Size() || hex.EncodeToString(raw) != text {
		return "", fmt.Errorf("%.70q is no %s object id", text, f)
	}
	return ID(raw), nil
}

// Limits of what is read. A zero field is the default.
type Limits struct {
	// Objects in a pack; 1,000,000.
	Objects int
	// ObjectSize is the most bytes of one object; 2 GiB.
	ObjectSize int64
	// HeldSize is the most bytes of a commit, a tree or a tag; 32 MiB.
	HeldSize int64
	// Memory is the most bytes held to resolve deltas; 256 MiB.
	Memory int64
	// Inflated is the most bytes of all objects and deltas together; 8 GiB.
	Inflated int64
	// Depth of a chain of deltas; 300.
	Depth int
}

func (l Limits) withDefaults() Limits {
	fill(&l.Objects, 1_000_000)
	fill(&l.ObjectSize, 2<<30)
	fill(&l.HeldSize, 32<<20)
	fill(&l.Memory, 256<<20)
	fill(&l.Inflated, 8<<30)
	fill(&l.Depth, 300)
	return l
}

func fill[T int | int64](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// ErrLimit is wrapped by every error that says a limit was reached.
var ErrLimit = errors.New("a limit was reached")

// Visitor is shown every object of a pack once. An error of it ends Read.
type Visitor interface {
	// Object is the n-th entry of the pack, whole. data is valid until Object
	// returns.
	Object(n int, id ID, t Type, data []byte) error
	// Blob is a blob of size bytes that is too large to be held. It may
	// return before the end of content.
	Blob(n int, size int64, content io.Reader) error
}

// heldBlob is the size from which on a blob is shown as a stream.
const heldBlob = 8 << 20

// Pack is a pack that was read to its end and found whole.
type Pack struct {
	file    io.ReaderAt
	size    int64 // without the trailer
	format  Format
	limits  Limits
	entries []entry
	byID    map[ID]int32
}

type entry struct {
	offset int64 // where the entry begins
	data   int64 // where its compressed bytes begin
	size   int64 // of these bytes, inflated
	base   int32 // entry that a delta is against
	stored Type  // as it stands in the pack
	final  Type  // what it is, 0 until that is known
	id     ID
}

// Read reads the pack that is the size bytes of file. visit may be nil.
func Read(ctx context.Context, file io.ReaderAt, size int64, format Format, limits Limits, visit Visitor) (*Pack, error) {
	if visit == nil {
		visit = nobody{}
	}
	p := &Pack{file: file, size: size - int64(format.Size()), format: format, limits: limits.withDefaults()}
	if err := p.checkTrailer(ctx); err != nil {
		return nil, err
	}
	reading := &reading{Pack: p, ctx: ctx, visit: visit, waiting: make(map[ID][]int32)}
	if err := reading.scan(); err != nil {
		return nil, err
	}
	if err := reading.resolve(); err != nil {
		return nil, err
	}
	return p, nil
}

// checkTrailer compares the hash at the end with that of all before it.
func (p *Pack) checkTrailer(ctx context.Context) error {
	if p.size < headerSize {
		return errors.New("the pack is cut short")
	}
	sum := p.format.hash()
	if _, err := io.Copy(sum, &patient{ctx, io.NewSectionReader(p.file, 0, p.size)}); err != nil {
		return err
	}
	trailer := make([]byte, p.format.Size())
	if _, err := p.file.ReadAt(trailer, p.size); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(sum.Sum(nil)) != string(trailer) {
		return errors.New("the pack's checksum is not that of its content: it is cut short or damaged")
	}
	return nil
}

// Len is the number of objects.
func (p *Pack) Len() int { return len(p.entries) }

// At returns the id and type of the n-th entry.
func (p *Pack) At(n int) (ID, Type) { return p.entries[n].id, p.entries[n].final }

// Type of an object; 0 when the pack does not hold it.
func (p *Pack) Type(id ID) Type {
	if n, ok := p.byID[id]; ok {
		return p.entries[n].final
	}
	return 0
}

// Get returns an object's content. It is meant for commits, trees and tags.
// The error is io.EOF when the pack does not hold the object.
func (p *Pack) Get(id ID) (Type, []byte, error) {
	n, ok := p.byID[id]
	if !ok {
		return 0, nil, io.EOF
	}
	var deltas []int32
	at := n
	for p.entries[at].stored >= offsetDelta {
		deltas = append(deltas, at)
		at = p.entries[at].base
	}
	data, err := p.inflate(at)
	for i := len(deltas) - 1; i >= 0 && err == nil; i-- {
		var delta []byte
		if delta, err = p.inflate(deltas[i]); err == nil {
			data, err = apply(data, delta, p.limits.Memory)
		}
	}
	return p.entries[n].final, data, err
}

// Open returns the content of the n-th entry. What is no delta is not held.
func (p *Pack) Open(n int) (io.Reader, error) {
	e := p.entries[n]
	if e.stored >= offsetDelta {
		_, data, err := p.Get(e.id)
		return bytes.NewReader(data), err
	}
	content, err := p.open(int32(n))
	if err != nil {
		return nil, err
	}
	return io.LimitReader(content, e.size), nil
}

// nobody is the Visitor of packs that are only looked up in.
type nobody struct{}

func (nobody) Object(int, ID, Type, []byte) error { return nil }
func (nobody) Blob(int, int64, io.Reader) error   { return nil }

// patient ends a read when ctx ended.
type patient struct {
	ctx context.Context
	r   io.Reader
}

func (p *patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.r.Read(b)
}
