package secretscan

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"
	"iter"
)

const (
	// maxUnpackers is how many containers are unpacked at once in one stream.
	maxUnpackers = 8
	// maxNesting is how many containers may lie in one another.
	maxNesting = 3
	// deflateDelay is how much compressed data can stand for text that the
	// decompressor has not given yet; so much is held back.
	deflateDelay = 64 << 10
	// A container may give so much per byte, and so much on top.
	maxRatio, maxSurplus = 200, 16 << 20
	// Bomb is the rule of a container that gives too much to be scanned.
	Bomb = "compressed-too-far"
	// maxMagic is the length of the longest magic.
	maxMagic = 4
	// zipHeader is the length of a zip entry's header without names.
	zipHeader, zipDeflated = 30, 8
)

// openers begin to unpack a container at its first byte.
var openers = []struct {
	magic string
	// first: the magic is too short to be looked for in the middle of data.
	first bool
	open  func(io.Reader) (io.Reader, error)
}{
	{"\x1f\x8b\x08", false, openGzip},
	{"PK\x03\x04", false, openZipEntry},
	{"\x78\x01", true, openZlib},
	{"\x78\x5e", true, openZlib},
	{"\x78\x9c", true, openZlib},
	{"\x78\xda", true, openZlib},
}

// openGzip reads one member; the next one begins with its own magic.
func openGzip(r io.Reader) (io.Reader, error) {
	member, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	member.Multistream(false)
	return member, nil
}

func openZlib(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }

// openZipEntry reads one entry; the next one begins with its own magic. What
// is stored without compression needs no unpacking.
func openZipEntry(r io.Reader) (io.Reader, error) {
	var header [zipHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint16(header[8:]) != zipDeflated {
		return nil, errors.New("not deflated")
	}
	names := int64(binary.LittleEndian.Uint16(header[26:])) + int64(binary.LittleEndian.Uint16(header[28:]))
	if _, err := io.CopyN(io.Discard, r, names); err != nil {
		return nil, err
	}
	return flate.NewReader(r), nil
}

// unpacker unpacks and scans one container as its bytes arrive. It is a
// coroutine: push runs it until it needs more.
type unpacker struct {
	begin int64 // of the container in the stream
	input *input
	next  func() (struct{}, bool)
	stop  func()
}

// input is what the coroutine reads, and how it says what it found.
type input struct {
	data  []byte
	final bool
	total int64
	wait  func() bool
	found *Finding
}

// Read implements io.Reader and gives way when there is nothing to read.
func (in *input) Read(p []byte) (int, error) {
	for len(in.data) == 0 {
		if in.final || !in.wait() {
			return 0, io.EOF
		}
	}
	n := copy(p, in.data)
	in.data = in.data[n:]
	in.total += int64(n)
	return n, nil
}

// ReadByte keeps flate from reading ahead through a buffer of its own.
func (in *input) ReadByte() (byte, error) {
	var one [1]byte
	_, err := in.Read(one[:])
	return one[0], err
}

func (s *Scanner) unpack(place string, begin int64, depth int, open func(io.Reader) (io.Reader, error)) *unpacker {
	in := &input{}
	u := &unpacker{begin: begin, input: in}
	u.next, u.stop = iter.Pull(func(yield func(struct{}) bool) {
		in.wait = func() bool { return yield(struct{}{}) }
		plain, err := open(in)
		if err != nil {
			return // not such a container
		}
		bounded := &bounded{source: plain, input: in}
		_, err = io.Copy(io.Discard, s.reader(place+" unpacked", bounded, depth+1))
		if found, ok := errors.AsType[*Finding](err); ok {
			in.found = found
		} else if errors.Is(err, errBomb) {
			in.found = s.finding(place, hit{rule: Bomb})
		}
	})
	return u
}

// push gives the next bytes to u and tells whether the container goes on.
func (u *unpacker) push(data []byte, final bool) (more bool) {
	u.input.data, u.input.final = data, final
	_, more = u.next()
	return more
}

var errBomb = errors.New("the container gives too much")

// bounded ends a reading that gives far more than was put in.
type bounded struct {
	source io.Reader
	input  *input
	total  int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.source.Read(p)
	if b.total += int64(n); b.total > maxSurplus+maxRatio*b.input.total {
		return 0, errBomb
	}
	return n, err
}

// unpackers are the containers under way in one stream.
type unpackers struct {
	list []*unpacker
}

// push looks for containers in buf, of which the bytes from fresh on are new
// and the first has the given offset in the stream, and continues those that
// are under way. It returns what was found, and the offset from which on bytes
// must be held back.
func (us *unpackers) push(s *Scanner, place string, buf []byte, fresh int, offset int64, final bool, depth int) (found *Finding, hold int64) {
	end := offset + int64(len(buf))
	hold = end
	kept := us.list[:0]
	for _, u := range us.list {
		if u.push(buf[fresh:], final) && !final {
			kept = append(kept, u)
			hold = min(hold, max(u.begin, end-deflateDelay))
		} else {
			u.stop()
		}
		if u.input.found != nil && found == nil {
			found = u.input.found
		}
	}
	us.list = kept
	if depth >= maxNesting || found != nil {
		return found, hold
	}
	// A magic may have begun in what stood before.
	first := max(0, fresh-maxMagic+1)
	text, start := buf[first:], offset+int64(first)
	for _, o := range openers {
		for at := 0; at < len(text) && found == nil; at++ {
			i := 0
			if !o.first {
				i = bytes.Index(text[at:], []byte(o.magic))
			} else if start != 0 || at > 0 || !bytes.HasPrefix(text, []byte(o.magic)) {
				i = -1
			}
			if i < 0 {
				break
			}
			at += i
			if first+at+len(o.magic) <= fresh {
				continue // seen when it came
			}
			if len(us.list) >= maxUnpackers {
				us.list[0].stop()
				us.list = us.list[1:]
			}
			u := s.unpack(place, start+int64(at), depth, o.open)
			if u.push(text[at:], final) && !final {
				us.list = append(us.list, u)
				hold = min(hold, max(u.begin, end-deflateDelay))
			} else {
				u.stop()
			}
			found = u.input.found
		}
	}
	return found, hold
}

// holdsContainer tells whether a container may begin in body.
func holdsContainer(body []byte) bool {
	for i := range openers {
		if o := &openers[i]; o.first && bytes.HasPrefix(body, []byte(o.magic)) || !o.first && bytes.Contains(body, []byte(o.magic)) {
			return true
		}
	}
	return false
}

// marks64 are the characters that base64 gives for the magics.
var marks64 = []string{"H4sI", "UEsD", "eJ", "eNo", "eAE", "eF"}

// containers64 unpacks the containers that a run of base64 characters gives,
// the first of each alignment with all that follows it.
func (w *sweep) containers64(r *run, depth int, tell func(hit) bool) {
	var seen [4]bool
	for i, mark := range marks64 {
		for at := 0; at < len(r.characters) && !w.over; at++ {
			next := bytes.Index(r.characters[at:], []byte(mark))
			if next < 0 || i >= wholeMarks && at+next > 0 {
				break
			}
			if at += next; !seen[at%4] {
				seen[at%4] = true
				buf := &w.tables[depth].text
				*buf = base64Coding.decode((*buf)[:0], r.characters[at:])
				w.unpack(*buf, r, len(r.characters), depth, tell)
			}
		}
	}
}

// wholeMarks is the number of marks that are looked for everywhere; the others
// are too short and must begin the run.
const wholeMarks = 2

// unpack scans the containers in what a run gives up to its character end.
func (w *sweep) unpack(body []byte, r *run, end, depth int, tell func(hit) bool) {
	if w.over || !holdsContainer(body) {
		return
	}
	var inside unpackers
	found, _ := inside.push(w.scanner, "", body, 0, 0, !r.open || end < len(r.characters), depth)
	inside.stop()
	if found != nil {
		tell(hit{rule: found.Rule, begin: r.begin, end: r.end, secret: found.Fingerprint})
	}
}

// stop ends every coroutine.
func (us *unpackers) stop() {
	for _, u := range us.list {
		u.stop()
	}
	us.list = nil
}
