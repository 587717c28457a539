package secretscan

import (
	"errors"
	"io"
	"iter"
	"sync"
)

const (
	// maxUnpackers is how many containers are unpacked at once in one stream,
	// maxHeavy how many of those that take much memory. One more is a finding.
	maxUnpackers, maxHeavy = 16, 2
	// A stream may hold so many containers and one more in so many bytes, or is
	// made to exhaust the scanner: real ones are longer.
	maxTried, perContainer = 256, 160
	// maxNesting is how many containers may lie in one another.
	maxNesting = 3
	// deflateDelay is how much data is held back because its text was not given
	// yet: each decompressor may keep 32 KB, and base64 makes four bytes of
	// three. A block of bzip2 is longer, but cannot be read without its end.
	deflateDelay = maxHeld - 1<<10
	// encodedDelay is the same where a byte is written as up to six characters.
	encodedDelay = maxEncoded - 1<<10
	// A container may give so much per byte, and so much on top.
	maxRatio, maxSurplus = 200, 16 << 20
	// Bomb is the rule of containers that give too much to be scanned.
	Bomb = "compressed-too-far"
)

// unpacker unpacks and scans one container as its bytes arrive. It is a
// coroutine: push runs it until it needs more.
type unpacker struct {
	begin  int64 // of the container in the stream
	opener *opener
	input  *input
	next   func() (struct{}, bool)
	stop   func()
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
	if len(in.data) > 0 {
		c := in.data[0]
		in.data = in.data[1:]
		in.total++
		return c, nil
	}
	var one [1]byte
	_, err := in.Read(one[:])
	return one[0], err
}

// contents are readers of what was unpacked, for their buffers: containers may
// be many and small.
var contents = sync.Pool{New: func() any { return new(reader) }}

func (s *Scanner) unpack(place string, begin int64, depth int, o *opener) *unpacker {
	in := &input{}
	u := &unpacker{begin: begin, opener: o, input: in}
	u.next, u.stop = iter.Pull(func(yield func(struct{}) bool) {
		in.wait = func() bool { return yield(struct{}{}) }
		plain, err := o.open(in)
		if err != nil {
			return // not such a container
		}
		defer release(plain)
		bounded := &bounded{source: plain, input: in}
		inside := new(unpackers)
		defer inside.stop()
		content := contents.Get().(*reader)
		defer contents.Put(content)
		*content = reader{scanner: s, place: place + " unpacked", source: bounded, depth: depth + 1, inside: inside, buf: content.buf[:0]}
		_, err = io.Copy(io.Discard, content)
		*content = reader{buf: content.buf}
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
	list     []*unpacker
	tried    int     // containers so far
	followed []place // of those that were unended
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
			hold = min(hold, u.held(end))
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
	// One may have begun in what stood before.
	first := max(0, fresh-maxNeed-len(emptyLine))
	text, start := buf[first:], offset+int64(first)
	if bare(text, start) {
		return found, hold
	}
	starts(text, start, final, func(at int, o *opener) bool {
		if first+at+o.need() <= fresh {
			return true // seen when it came
		}
		var held int64
		found, held = us.begin(s, place, o, text[at:], start+int64(at), final, depth)
		hold = min(hold, held)
		return found == nil
	})
	return found, hold
}

// begin unpacks one more container, which stands in the stream at begin and of
// which text is there. It returns what push does.
func (us *unpackers) begin(s *Scanner, place string, o *opener, text []byte, begin int64, final bool, depth int) (found *Finding, hold int64) {
	end := begin + int64(len(text))
	if us.tried++; us.full(o, end) {
		return s.finding(place, hit{rule: Bomb}), end // or nil, and the operator lets it pass
	}
	u := s.unpack(place, begin, depth, o)
	if hold = end; u.push(text, final) && !final {
		us.list = append(us.list, u)
		hold = u.held(end)
	} else {
		u.stop()
	}
	return u.input.found, hold
}

// held is from where on a stream up to end must be held back.
func (u *unpacker) held(end int64) int64 {
	delay := int64(deflateDelay)
	if u.opener.encoded {
		delay = encodedDelay
	}
	return max(u.begin, end-delay)
}

// full tells whether no further container of a kind can be unpacked in a stream
// of size bytes.
func (us *unpackers) full(o *opener, size int64) bool {
	heavy := 0
	for _, u := range us.list {
		if u.opener.heavy {
			heavy++
		}
	}
	return int64(us.tried) > maxTried+size/perContainer || len(us.list) >= maxUnpackers || o.heavy && heavy >= maxHeavy
}

// stop ends every coroutine.
func (us *unpackers) stop() {
	for _, u := range us.list {
		u.stop()
	}
	us.list = nil
}
