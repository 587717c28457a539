package secretscan

import (
	"bufio"
	"compress/bzip2"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

const (
	// zlibHeader is the length of zlib's header.
	zlibHeader = 2
	// zipHeader is the length of a zip entry's header without names.
	zipHeader, zipStored, zipDeflated = 30, 0, 8
	// rawSample is how much of what begins like a container must not be text,
	// where the beginning tells too little.
	rawSample = 32
)

// opener begins to unpack one kind of container at its first byte.
type opener struct {
	magic string
	// rare is the place in magic of the byte that other text has least of.
	rare int
	// first: the magic is too short to be looked for in the middle of data, but
	// only where a stream begins, or a part of it after an empty line.
	first bool
	// sampled: what begins so must not be text.
	sampled bool
	// begins tells more about the first bytes than the magic; nil = nothing.
	begins func([]byte) bool
	// encoded: each byte of it may be several of the stream.
	encoded bool
	// heavy: unpacking takes megabytes.
	heavy bool
	open  func(byteSource) (io.Reader, error)
}

// emptyLine ends the head of a part of a body.
const emptyLine = "\r\n\r\n"

// byteSource is what containers are read from; decompressors that can read single
// bytes do not read ahead through buffers of their own.
type byteSource interface {
	io.Reader
	io.ByteReader
}

// Decompressors take tens of kilobytes, and containers may be many and small.
var flates = sync.Pool{New: func() any { return flate.NewReader(nil) }}

// release gives a decompressor back that is no longer read.
func release(r io.Reader) {
	if r, ok := r.(flate.Resetter); ok {
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
	{magic: "\x78\x01", rare: 1, open: openZlib},
	{magic: "\x78\x5e", rare: 1, sampled: true, open: openZlib},
	{magic: "\x78\x9c", rare: 1, open: openZlib},
	{magic: "\x78\xda", rare: 1, open: openZlib},
	{first: true, begins: smallZlib, open: openZlib},
	{first: true, sampled: true, open: openDeflate},
}

// The flags of a gzip member's header, RFC 1952.
const (
	gzipHeader                                     = 10
	gzipSum, gzipExtra, gzipName, gzipComment byte = 1 << 1, 1 << 2, 1 << 3, 1 << 4
)

// openGzip reads one member; the next one begins with its own magic. The
// standard library's reader wants names shorter than other readers do.
func openGzip(r byteSource) (io.Reader, error) {
	var header [gzipHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	flags := header[3]
	if flags&gzipExtra != 0 {
		if _, err := io.ReadFull(r, header[:2]); err != nil {
			return nil, err
		}
		if _, err := io.CopyN(io.Discard, r, int64(binary.LittleEndian.Uint16(header[:]))); err != nil {
			return nil, err
		}
	}
	for _, text := range []byte{gzipName, gzipComment} {
		for c := byte(1); flags&text != 0 && c != 0; {
			var err error
			if c, err = r.ReadByte(); err != nil {
				return nil, err
			}
		}
	}
	if flags&gzipSum != 0 {
		if _, err := io.ReadFull(r, header[:2]); err != nil {
			return nil, err
		}
	}
	return openDeflate(r)
}

func openZlib(r byteSource) (io.Reader, error) {
	if _, err := io.CopyN(io.Discard, r, zlibHeader); err != nil {
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

// from64 opens a container that stands in base64.
func from64(open func(byteSource) (io.Reader, error)) func(byteSource) (io.Reader, error) {
	return func(r byteSource) (io.Reader, error) { return open(&codingReader{source: r, coding: base64Coding}) }
}
