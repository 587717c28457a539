package secretscan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
)

const (
	// chunk is the most that is read at once, firstChunk how much at first.
	chunk, firstChunk = 64 << 10, 4 << 10
	// context is how much of what was released is kept, to find what began in
	// it.
	context = 1 << 10
	// maxHeld is the most that is held back, beside what a known value needs.
	maxHeld = 2 * maxMatch
	// maxEncoded is the same where an encoded container goes on.
	maxEncoded = 2 * maxHeld
	// patience: held bytes are seen again when new ones are at least this
	// fraction of them, so that small reads cannot make scanning quadratic.
	patience = 64
)

// Reader returns a reader that releases a byte of r only after it was scanned.
// A read fails with a *Finding when a secret is found; memory is bounded. Each
// read of r is passed on as far as no secret can have begun in it; the rest
// follows with the next or at the end. Messages that must go out whole, each
// by itself, are scanned with Text.
func (s *Scanner) Reader(place string, r io.Reader) io.Reader {
	if s == nil {
		return r
	}
	scanning := &reader{scanner: s, place: place, source: r, inside: new(unpackers)}
	// A reader that is given up must not leave coroutines behind.
	runtime.AddCleanup(scanning, (*unpackers).stop, scanning.inside)
	return scanning
}

type reader struct {
	scanner *Scanner
	place   string
	source  io.Reader
	depth   int // how many containers are around
	inside  *unpackers

	buf     []byte // released context, then released bytes, then held ones
	next    int    // first byte that was not read from this reader
	safe    int    // first byte that is held
	settled int    // first byte that more may make a secret of; those held before it wait for what unpacks them
	scanned int    // end of what was scanned
	passed  int64  // bytes that were dropped before buf
	lines   int    // line breaks in them
	err     error  // how the source ended
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.next == r.safe {
		if r.err != nil {
			return 0, r.err
		}
		r.fill()
	}
	n := copy(p, r.buf[r.next:r.safe])
	r.next += n
	return n, nil
}

// fill reads once and scans.
func (r *reader) fill() {
	if drop := r.next - context; drop > 0 {
		r.lines += bytes.Count(r.buf[:drop], []byte("\n"))
		r.buf = r.buf[:copy(r.buf, r.buf[drop:])]
		r.next, r.safe, r.settled, r.scanned = r.next-drop, r.safe-drop, r.settled-drop, r.scanned-drop
		r.passed += int64(drop)
	}
	size := min(chunk, max(firstChunk, int(r.passed)+len(r.buf)))
	r.buf = slices.Grow(r.buf, size)
	n, err := r.source.Read(r.buf[len(r.buf) : len(r.buf)+size])
	r.buf = r.buf[:len(r.buf)+n]
	final := err != nil
	packed, keep := r.inside.push(r.scanner, r.place, r.buf, len(r.buf)-n, r.passed, final, r.depth)
	if packed != nil {
		r.err = packed
		r.inside.stop()
		return
	}
	if unseen := len(r.buf) - r.scanned; !final && unseen*patience < r.scanned-r.settled {
		return
	}
	again := max(0, r.settled-context)
	var found *Finding
	var going []unended
	hold := r.scanner.collect(r.buf[again:], final, false, func(e unended) { going = append(going, e) }, func(h hit) bool {
		if h.end += again; h.end <= r.safe {
			return true // reported before
		}
		h.begin += again
		found = r.scanner.finding(fmt.Sprintf("%s at byte %d", r.place, r.passed+int64(h.begin)), h)
		if found != nil {
			found.Offset = r.passed + int64(h.begin)
			found.Line = 1 + r.lines + bytes.Count(r.buf[:h.begin], []byte("\n"))
		}
		return found == nil
	})
	r.scanned = len(r.buf)
	r.settled = max(r.settled, again+hold, len(r.buf)-maxHeld-r.scanner.known.longest)
	for _, e := range going {
		if found == nil {
			at := again + e.at
			var held int64
			found, held = r.inside.follow(r.scanner, r.place, e, r.buf[at:], r.passed+int64(at), r.passed, r.depth)
			keep = min(keep, held)
		}
	}
	switch {
	case found != nil:
		r.err = found
		r.inside.stop()
	case final && !errors.Is(err, io.EOF):
		r.err = err // what is held is not released: its end is not known
	case final:
		r.safe, r.err = len(r.buf), io.EOF
	default:
		r.safe = max(r.safe, min(r.settled, int(keep-r.passed)), len(r.buf)-r.inside.most()-r.scanner.known.longest)
	}
}
