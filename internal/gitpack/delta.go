package gitpack

import (
	"bufio"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
)

var errDelta = errors.New("its delta is damaged")

// resolve applies the deltas, each after its base, and shows the results.
// A base is held only until its last delta was applied.
func (r *reading) resolve() error {
	r.link()
	done := 0
	for n := range int32(len(r.entries)) {
		if r.entries[n].stored >= offsetDelta {
			continue
		}
		done++
		if r.first[n] < 0 {
			continue
		}
		resolved, err := r.resolveFrom(n)
		if err != nil {
			return fmt.Errorf("pack: %w", err)
		}
		done += resolved
	}
	if done != len(r.entries) {
		return fmt.Errorf("pack: the base of %d deltas is not in it (git sends such packs only to a server that does not say no-thin)", len(r.entries)-done)
	}
	return nil
}

// link makes the lists of deltas against each entry that is known already.
func (r *reading) link() {
	r.first, r.next = make([]int32, len(r.entries)), make([]int32, len(r.entries))
	for n := range r.entries {
		r.first[n], r.next[n] = -1, -1
	}
	for n := range r.entries {
		if e := &r.entries[n]; e.stored == offsetDelta {
			r.addChild(e.base, int32(n))
		}
	}
	for n := range r.entries {
		if r.entries[n].final != 0 {
			r.adopt(int32(n))
		}
	}
}

func (r *reading) addChild(base, n int32) {
	r.next[n], r.first[base] = r.first[base], n
}

// adopt gives an entry the deltas that waited for its id.
func (r *reading) adopt(base int32) {
	id := r.entries[base].id
	for _, n := range r.waiting[id] {
		r.entries[n].base = base
		r.addChild(base, n)
	}
	delete(r.waiting, id)
}

// frame is a base on the way down a chain.
type frame struct {
	data  []byte
	child int32 // next delta to apply, -1 after the last
	t     Type
}

// resolveFrom applies all deltas that lead to a root, depth first.
func (r *reading) resolveFrom(root int32) (resolved int, err error) {
	data, err := r.inflate(root)
	if err != nil {
		return 0, err
	}
	stack := []frame{{data, r.first[root], r.entries[root].final}}
	held := int64(len(data))
	for len(stack) > 0 {
		if err := r.ctx.Err(); err != nil {
			return 0, err
		}
		top := &stack[len(stack)-1]
		if top.child < 0 {
			held -= int64(len(top.data))
			stack = stack[:len(stack)-1]
			continue
		}
		n := top.child
		top.child = r.next[n]
		delta, err := r.inflate(n)
		if err != nil {
			return 0, err
		}
		data, err := apply(top.data, delta, r.limits.Memory-held-int64(len(delta)))
		if err != nil {
			return 0, fmt.Errorf("object %d: %w", n+1, err)
		}
		if top.child < 0 {
			held -= int64(len(top.data))
			top.data = nil
		}
		if err := r.seen(n, top.t, data); err != nil {
			return 0, err
		}
		resolved++
		r.adopt(n)
		if r.first[n] < 0 {
			continue
		}
		if len(stack) > r.limits.Depth {
			return 0, fmt.Errorf("%w: a chain of more than %d deltas", ErrLimit, r.limits.Depth)
		}
		held += int64(len(data))
		stack = append(stack, frame{data, r.first[n], top.t})
	}
	return resolved, nil
}

// inflate returns the bytes of an entry that was read before.
func (p *Pack) inflate(n int32) ([]byte, error) {
	e := &p.entries[n]
	if e.size > p.limits.Memory {
		return nil, fmt.Errorf("%w: object %d has %d bytes and is the base of a delta; `git config core.bigFileThreshold 32m` sends large files whole", ErrLimit, n+1, e.size)
	}
	z, err := p.open(n)
	if err != nil {
		return nil, err
	}
	data := make([]byte, e.size)
	if _, err := io.ReadFull(z, data); err != nil {
		return nil, err
	}
	return data, atEnd(z)
}

// open inflates an entry from its beginning.
func (p *Pack) open(n int32) (io.Reader, error) {
	at := p.entries[n].data
	return zlib.NewReader(bufio.NewReader(io.NewSectionReader(p.file, at, p.size-at)))
}

// deltaSize reads one of the two sizes that a delta begins with.
func deltaSize(delta []byte) (size int64, rest []byte, err error) {
	for i := 0; i < len(delta) && i < 8; i++ {
		size |= int64(delta[i]&0x7f) << (7 * i)
		if delta[i]&0x80 == 0 {
			return size, delta[i+1:], nil
		}
	}
	return 0, nil, errDelta
}

// apply makes the object that a delta against base describes. It has at most
// limit bytes.
func apply(base, delta []byte, limit int64) ([]byte, error) {
	from, delta, err := deltaSize(delta)
	if err != nil {
		return nil, err
	}
	size, delta, err := deltaSize(delta)
	if err != nil {
		return nil, err
	}
	if from != int64(len(base)) {
		return nil, errDelta
	}
	if size > limit {
		return nil, fmt.Errorf("%w: resolving deltas takes too much memory; `git config core.bigFileThreshold 32m` sends large files whole", ErrLimit)
	}
	out := make([]byte, 0, size)
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		var piece []byte
		switch {
		case op&0x80 != 0:
			var offset, length uint32
			for bit := range 7 {
				if op>>bit&1 == 0 {
					continue
				}
				if len(delta) == 0 {
					return nil, errDelta
				}
				if bit < 4 {
					offset |= uint32(delta[0]) << (8 * bit)
				} else {
					length |= uint32(delta[0]) << (8 * (bit - 4))
				}
				delta = delta[1:]
			}
			if length == 0 {
				length = 0x10000
			}
			end := uint64(offset) + uint64(length)
			if end > uint64(len(base)) {
				return nil, errDelta
			}
			piece = base[offset:end]
		case op == 0 || int(op) > len(delta):
			return nil, errDelta
		default:
			piece, delta = delta[:op], delta[op:]
		}
		if int64(len(out))+int64(len(piece)) > size {
			return nil, errDelta
		}
		out = append(out, piece...)
	}
	if int64(len(out)) != size {
		return nil, errDelta
	}
	return out, nil
}
