package secretscan

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"slices"
	"sync"
)

const (
	// maxMagic is the length of the longest magic.
	maxMagic = 9
	// zipHeader is the length of a zip entry's header without names.
	zipHeader, zipStored, zipDeflated = 30, 0, 8
	// rawSample is how much of a stream's beginning must not be text for the
	// stream to be taken for raw deflate, which has no magic.
	rawSample = 32
)

// opener begins to unpack one kind of container at its first byte.
type opener struct {
	magic string
	// rare is the place in magic of the byte that other text has least of.
	rare int
	// first: the magic is too short to be looked for in the middle of data.
	first bool
	// heavy: unpacking takes megabytes.
	heavy bool
	open  func(byteSource) (io.Reader, error)
}

// byteSource is what containers are read from; decompressors that can read single
// bytes do not read ahead through buffers of their own.
type byteSource interface {
	io.Reader
	io.ByteReader
}

// Decompressors take tens of kilobytes, and containers may be many and small.
var (
	gzips  = sync.Pool{New: func() any { return new(gzip.Reader) }}
	flates = sync.Pool{New: func() any { return flate.NewReader(nil) }}
)

// release gives a decompressor back that is no longer read.
func release(r io.Reader) {
	switch r := r.(type) {
	case *gzip.Reader:
		gzips.Put(r)
	case flate.Resetter:
		flates.Put(r)
	}
}

// openers has an entry for every magic that is looked for; those with the same
// rare byte stand together.
var openers = []opener{
	{magic: "\x1f\x8b\x08", open: openGzip},
	{magic: "PK\x03\x04", rare: 2, open: openZipEntry},
	{magic: "BZh", rare: 1, heavy: true, open: openBzip2},
	{magic: "H4sI", open: from64(openGzip)},
	{magic: "UEsD", open: from64(openZipEntry)},
	{magic: "%1F%8B%08", open: fromPercent(openGzip)},
	{magic: "%1f%8b%08", open: fromPercent(openGzip)},
	{magic: "PK%03%04", rare: 2, open: fromPercent(openZipEntry)},
	{magic: "x%9C", rare: 1, open: fromPercent(openZlib)},
	{magic: "x%9c", rare: 1, open: fromPercent(openZlib)},
	{magic: "\x78\x01", first: true, open: openZlib},
	{magic: "\x78\x5e", first: true, open: openZlib},
	{magic: "\x78\x9c", rare: 1, open: openZlib},
	{magic: "\x78\xda", rare: 1, open: openZlib},
	{magic: "", first: true, open: openDeflate},
}

// next is where in text, which stands at an offset in its stream, the next
// container of a kind may begin, or -1.
func (o *opener) next(text []byte, offset int64) int {
	switch {
	case !o.first:
		return search(text, o.magic, o.rare)
	case offset > 0 || !bytes.HasPrefix(text, []byte(o.magic)):
		return -1
	case o.magic == "" && printable(text[:min(len(text), rawSample)]):
		return -1
	}
	return 0
}

// search is where mark first stands in text, or -1. It looks for the byte of it
// at a place, which should be rare, as long as that is so.
func search(text []byte, mark string, place int) int {
	for at, tries := place, 0; at < len(text); tries++ {
		i := bytes.IndexByte(text[at:], mark[place])
		if i < 0 {
			return -1
		}
		begin := at + i - place
		if bytes.HasPrefix(text[begin:], []byte(mark)) {
			return begin
		}
		if at += i + 1; tries > 8+at/16 {
			begin = at - place
			if i = bytes.Index(text[begin:], []byte(mark)); i >= 0 {
				i += begin
			}
			return i
		}
	}
	return -1
}

// printable tells whether nearly all bytes are those of text.
func printable(body []byte) bool {
	n := 0
	for _, c := range body {
		if c >= ' ' && c <= '~' || c == '\n' || c == '\r' || c == '\t' {
			n++
		}
	}
	return n*8 >= len(body)*7
}

// openGzip reads one member; the next one begins with its own magic.
func openGzip(r byteSource) (io.Reader, error) {
	member, _ := gzips.Get().(*gzip.Reader)
	if err := member.Reset(r); err != nil {
		gzips.Put(member)
		return nil, err
	}
	member.Multistream(false)
	return member, nil
}

func openZlib(r byteSource) (io.Reader, error) {
	if _, err := io.CopyN(io.Discard, r, 2); err != nil { // the magic
		return nil, err
	}
	return openDeflate(r)
}

func openBzip2(r byteSource) (io.Reader, error) { return bzip2.NewReader(r), nil }

func openDeflate(r byteSource) (io.Reader, error) {
	plain, _ := flates.Get().(io.Reader)
	resetter, _ := plain.(flate.Resetter)
	return plain, resetter.Reset(r, nil)
}

// openZipEntry reads one entry; the next one begins with its own magic. What
// is stored without compression is read for where it ends, which the text
// around it does not show.
func openZipEntry(r byteSource) (io.Reader, error) {
	var header [zipHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	method := binary.LittleEndian.Uint16(header[8:])
	if method != zipDeflated && method != zipStored {
		return nil, errors.New("neither stored nor deflated")
	}
	names := int64(binary.LittleEndian.Uint16(header[26:])) + int64(binary.LittleEndian.Uint16(header[28:]))
	if _, err := io.CopyN(io.Discard, r, names); err != nil {
		return nil, err
	}
	if method == zipStored {
		return &storedReader{bufio.NewReader(r)}, nil
	}
	return openDeflate(r)
}

// storedReader reads what is stored in an archive up to the signature that
// follows it.
type storedReader struct{ source *bufio.Reader }

// Read implements io.Reader.
func (r *storedReader) Read(p []byte) (int, error) {
	for i := range p {
		if i > 0 && r.source.Buffered() < len(signature)+1 {
			return i, nil
		}
		next, err := r.source.Peek(len(signature) + 1)
		if len(next) == 0 {
			return i, err
		}
		if len(next) > len(signature) && string(next[:len(signature)]) == signature && next[len(signature)] < ' ' {
			return i, io.EOF
		}
		p[i] = next[0]
		_, _ = r.source.Discard(1) // it was seen
	}
	return len(p), nil
}

// signature begins all of a zip archive's headers, before a control character.
const signature = "PK"

// fromPercent opens a container that stands in percent escapes.
func fromPercent(open func(byteSource) (io.Reader, error)) func(byteSource) (io.Reader, error) {
	return func(r byteSource) (io.Reader, error) { return open(&percentReader{r}) }
}

// percentReader decodes percent escapes up to the end of a form's value.
type percentReader struct{ source io.ByteReader }

// ReadByte implements io.ByteReader.
func (r *percentReader) ReadByte() (byte, error) {
	c, err := r.source.ReadByte()
	switch {
	case err != nil:
		return 0, err
	case c == '+':
		return ' ', nil
	case c <= ' ' || c == '&' || c == '"':
		return 0, io.EOF
	case c != '%':
		return c, nil
	}
	var digits [2]byte
	for i := range digits {
		if digits[i], err = r.source.ReadByte(); err != nil {
			return 0, err
		}
	}
	v, ok := hexDigits(digits[:], len(digits))
	if !ok {
		return 0, io.EOF
	}
	return byte(v), nil
}

// Read implements io.Reader.
func (r *percentReader) Read(p []byte) (int, error) { return readBytes(r, p) }

// readBytes fills p from a source of single bytes.
func readBytes(source io.ByteReader, p []byte) (int, error) {
	for i := range p {
		c, err := source.ReadByte()
		if err != nil {
			return i, err
		}
		p[i] = c
	}
	return len(p), nil
}

// from64 opens a container that stands in base64, of whatever length.
func from64(open func(byteSource) (io.Reader, error)) func(byteSource) (io.Reader, error) {
	return func(r byteSource) (io.Reader, error) { return open(&reader64{source: r}) }
}

// reader64 decodes base64 up to the first character that is none, over line
// breaks.
type reader64 struct {
	source io.ByteReader
	acc    uint32
	have   int
	ended  bool
}

// ReadByte implements io.ByteReader.
func (r *reader64) ReadByte() (byte, error) {
	for !r.ended {
		c, err := r.source.ReadByte()
		if err != nil {
			return 0, err
		}
		v := base64Value[c]
		if v == 0xff {
			r.ended = c != '\n' && c != '\r'
			continue
		}
		r.acc = r.acc<<6 | uint32(v)
		if r.have += 6; r.have >= 8 {
			r.have -= 8
			return byte(r.acc >> r.have), nil
		}
	}
	return 0, io.EOF
}

// Read implements io.Reader.
func (r *reader64) Read(p []byte) (int, error) { return readBytes(r, p) }

// holdsContainer tells whether a container with a magic may begin in body,
// which stands at an offset in its stream.
func holdsContainer(body []byte, offset int64) bool {
	if len(body) >= shortBody {
		return slices.ContainsFunc(openers, func(o opener) bool { return o.magic != "" && o.next(body, offset) >= 0 })
	}
	for at, c := range body {
		for kinds := magicsWith[c]; kinds != 0; kinds &= kinds - 1 {
			o := &openers[bits.TrailingZeros32(kinds)]
			if bytes.HasPrefix(body[at:], []byte(o.magic)) && (!o.first || offset+int64(at) == 0) {
				return true
			}
		}
	}
	return false
}

// shortBody is the length up to which one look at every byte is faster than a
// search for every magic.
const shortBody = 128

// magicsWith has, by their first byte, a bit for each opener with a magic.
var magicsWith = func() (table [256]uint32) {
	for i, o := range openers {
		if o.magic != "" {
			table[o.magic[0]] |= 1 << i
		}
	}
	return table
}()

// marks64 are the characters that base64 gives for the magics; those in heads64
// are too short to be looked for everywhere and must begin the run.
var (
	marks64 = []string{"H4sI", "UEsD", "Qlpo"}
	heads64 = []string{"eJ", "eNo", "eAE", "eF"}
)

// containers64 unpacks the containers that a run of base64 characters gives,
// the first of each alignment with all that follows it.
func (w *sweep) containers64(r *run, depth int, tell func(hit) bool) {
	var seen [4]bool
	try := func(at int) {
		if w.over || seen[at%4] {
			return
		}
		seen[at%4] = true
		buf := &w.tables[depth].text
		*buf = base64Coding.decode((*buf)[:0], r.characters[at:])
		w.unpack(*buf, r, len(r.characters), depth, tell)
	}
	for _, mark := range marks64 {
		for at := 0; at < len(r.characters); at++ {
			next := search(r.characters[at:], mark, 0)
			if next < 0 {
				break
			}
			at += next
			try(at)
		}
	}
	for _, head := range heads64 {
		if bytes.HasPrefix(r.characters, []byte(head)) {
			try(0)
		}
	}
}

// unpack scans the containers in what a run gives up to its character end.
func (w *sweep) unpack(body []byte, r *run, end, depth int, tell func(hit) bool) {
	if w.over || !holdsContainer(body, 0) {
		return
	}
	var inside unpackers
	found, _ := inside.push(w.scanner, "", body, 0, 0, !r.open || end < len(r.characters), depth)
	inside.stop()
	if found != nil {
		tell(hit{rule: found.Rule, begin: r.begin, end: r.end, secret: found.Fingerprint})
	}
}
