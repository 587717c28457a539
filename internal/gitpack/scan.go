package gitpack

import (
	"bufio"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"sort"
)

const (
	headerSize = 12
	version    = 2
)

// reading is a Pack while it is read.
type reading struct {
	*Pack
	ctx   context.Context
	visit Visitor

	at       *position
	zlib     io.ReadCloser
	inflated int64
	buffer   []byte

	// waiting are the deltas against an id that was not seen yet.
	waiting map[ID][]int32
	// The deltas against each entry, as a linked list: the first one, and the
	// next one with the same base; -1 ends it.
	first, next []int32
}

// position is where in the pack the next byte is read. Inflating stops exactly
// where the compressed bytes end: it takes them one by one from the buffer.
type position struct {
	buffered *bufio.Reader
	section  *io.SectionReader
}

func newPosition(file io.ReaderAt, size int64) *position {
	section := io.NewSectionReader(file, 0, size)
	return &position{bufio.NewReaderSize(section, 64<<10), section}
}

func (p *position) offset() int64 {
	taken, _ := p.section.Seek(0, io.SeekCurrent) // never fails
	return taken - int64(p.buffered.Buffered())
}

// scan reads the entries one after the other and shows those that are no
// deltas.
func (r *reading) scan() error {
	r.at = newPosition(r.file, r.size)
	var header [headerSize]byte
	if _, err := io.ReadFull(r.at.buffered, header[:]); err != nil {
		return errors.New("the pack is cut short")
	}
	if string(header[:4]) != "PACK" || binary.BigEndian.Uint32(header[4:]) != version {
		return errors.New("this is no pack of version 2")
	}
	count := binary.BigEndian.Uint32(header[8:])
	if int64(count) > int64(r.limits.Objects) {
		return fmt.Errorf("%w: the pack has %d objects, at most %d are read", ErrLimit, count, r.limits.Objects)
	}
	if int64(count) > r.size { // each takes some bytes
		return errors.New("the pack has fewer objects than it says")
	}
	r.entries = make([]entry, 0, count)
	r.byID = make(map[ID]int32, count)
	for n := range int32(count) {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if err := r.scanEntry(n); err != nil {
			return fmt.Errorf("pack: object %d of %d: %w", n+1, count, unexpected(err))
		}
	}
	if r.at.offset() != r.size {
		return fmt.Errorf("pack: %d bytes stand behind its last object", r.size-r.at.offset())
	}
	return nil
}

func (r *reading) scanEntry(n int32) error {
	e := entry{offset: r.at.offset(), base: -1}
	if err := r.entryHeader(&e); err != nil {
		return err
	}
	e.data = r.at.offset()
	if e.size > r.limits.ObjectSize {
		return fmt.Errorf("%w: it has %d bytes, at most %d are read", ErrLimit, e.size, r.limits.ObjectSize)
	}
	if err := r.account(e.size); err != nil {
		return err
	}
	if err := r.restart(); err != nil {
		return err
	}
	r.entries = append(r.entries, e)
	switch {
	case e.stored >= offsetDelta:
		return r.scanDelta(e.size)
	case e.stored == Blob && e.size > heldBlob:
		return r.scanStream(n, e.size)
	}
	if e.stored != Blob && e.size > r.limits.HeldSize {
		return fmt.Errorf("%w: it is a %s of %d bytes, at most %d are read", ErrLimit, e.stored, e.size, r.limits.HeldSize)
	}
	if int64(cap(r.buffer)) < e.size {
		r.buffer = make([]byte, e.size)
	}
	data := r.buffer[:e.size]
	if _, err := io.ReadFull(r.zlib, data); err != nil {
		return err
	}
	if err := r.inflatedWhole(); err != nil {
		return err
	}
	return r.seen(n, e.stored, data)
}

// entryHeader reads type, size and, of a delta, its base.
func (r *reading) entryHeader(e *entry) error {
	b, err := r.at.buffered.ReadByte()
	if err != nil {
		return err
	}
	e.stored, e.size = Type(b>>4&7), int64(b&15)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = r.at.buffered.ReadByte(); err != nil {
			return err
		}
		if shift > 53 || b == 0 {
			return errors.New("its size is not one that git writes")
		}
		e.size |= int64(b&0x7f) << shift
	}
	switch e.stored {
	case Commit, Tree, Blob, Tag:
		return nil
	case offsetDelta:
		return r.offsetBase(e)
	case referenceDelta:
		id := make([]byte, r.format.Size())
		if _, err := io.ReadFull(r.at.buffered, id); err != nil {
			return err
		}
		n := int32(len(r.entries))
		r.waiting[ID(id)] = append(r.waiting[ID(id)], n)
		return nil
	}
	return fmt.Errorf("type %d is none", e.stored)
}

func (r *reading) offsetBase(e *entry) error {
	b, err := r.at.buffered.ReadByte()
	if err != nil {
		return err
	}
	back := int64(b & 0x7f)
	for b&0x80 != 0 {
		if b, err = r.at.buffered.ReadByte(); err != nil {
			return err
		}
		if back >= 1<<48 {
			return errors.New("its base is too far back")
		}
		back = (back+1)<<7 | int64(b&0x7f)
	}
	want := e.offset - back
	i := sort.Search(len(r.entries), func(i int) bool { return r.entries[i].offset >= want })
	if back == 0 || i == len(r.entries) || r.entries[i].offset != want {
		return errors.New("its base is no object before it")
	}
	e.base = int32(i)
	return nil
}

// scanDelta checks that a delta inflates and that its result is within limits;
// it is applied later.
func (r *reading) scanDelta(size int64) error {
	if size > r.limits.Memory {
		return fmt.Errorf("%w: a delta of %d bytes", ErrLimit, size)
	}
	var head [20]byte
	n, err := io.ReadFull(r.zlib, head[:min(int64(len(head)), size)])
	if err != nil {
		return err
	}
	_, rest, err := deltaSize(head[:n])
	if err != nil {
		return err
	}
	result, _, err := deltaSize(rest)
	if err != nil {
		return err
	}
	if result > r.limits.Memory {
		return fmt.Errorf("%w: a delta makes %d bytes, at most %d are read; `git config core.bigFileThreshold 32m` sends large files whole", ErrLimit, result, r.limits.Memory)
	}
	if err := r.account(result); err != nil {
		return err
	}
	if m, err := io.CopyN(io.Discard, r.zlib, size-int64(n)); err != nil || m != size-int64(n) {
		return unexpected(err)
	}
	return r.inflatedWhole()
}

func (r *reading) scanStream(n int32, size int64) error {
	sum := r.header(Blob, size)
	content := io.TeeReader(&patient{r.ctx, io.LimitReader(r.zlib, size)}, sum)
	counted := &counter{r: content}
	if err := r.visit.Blob(int(n), size, counted); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, counted); err != nil {
		return err
	}
	if counted.n != size {
		return io.ErrUnexpectedEOF
	}
	if err := r.inflatedWhole(); err != nil {
		return err
	}
	return r.register(n, Blob, sum)
}

// seen shows an object that is held and gives it its id.
func (r *reading) seen(n int32, t Type, data []byte) error {
	sum := r.header(t, int64(len(data)))
	sum.Write(data)
	if err := r.register(n, t, sum); err != nil {
		return err
	}
	return r.visit.Object(int(n), r.entries[n].id, t, data)
}

func (r *reading) header(t Type, size int64) hash.Hash {
	sum := r.format.hash()
	fmt.Fprintf(sum, "%s %d\x00", t, size)
	return sum
}

func (r *reading) register(n int32, t Type, sum hash.Hash) error {
	id := ID(sum.Sum(nil))
	if _, twice := r.byID[id]; twice {
		return fmt.Errorf("%s stands in the pack twice", id)
	}
	r.byID[id] = n
	r.entries[n].id, r.entries[n].final = id, t
	return nil
}

// account adds to what was inflated so far.
func (r *reading) account(size int64) error {
	if r.inflated += size; r.inflated > r.limits.Inflated {
		return fmt.Errorf("%w: the pack's objects have more than %d bytes together", ErrLimit, r.limits.Inflated)
	}
	return nil
}

// restart begins to inflate at the current position.
func (r *reading) restart() (err error) {
	if r.zlib == nil {
		r.zlib, err = zlib.NewReader(r.at.buffered)
		return err
	}
	return r.zlib.(zlib.Resetter).Reset(r.at.buffered, nil)
}

// inflatedWhole checks that nothing follows and that the checksum is right.
func (r *reading) inflatedWhole() error {
	return atEnd(r.zlib)
}

func atEnd(r io.Reader) error {
	var one [1]byte
	switch n, err := io.ReadFull(r, one[:]); {
	case n > 0:
		return errors.New("it is longer than it says")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// counter counts what was read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
