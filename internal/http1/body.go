package http1

import (
	"errors"
	"io"
	"sync"
)

// requestBody is the body that a handler reads.
type requestBody struct {
	conn *serverConn
	w    *response
	// expect: the client waits to be asked for the body.
	expect bool

	mu   sync.Mutex
	body io.Reader
	left int64 // of the length that the head told; negative = it told none
	over bool  // it was read to its end
	late bool  // the request is over
}

// Read asks for the body where the client waits for that.
func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.late:
		return 0, errTooLate
	case b.over:
		return 0, io.EOF
	}
	if b.expect {
		b.expect = false
		if err := b.w.askForBody(); err != nil {
			return 0, err
		}
	}
	n, err := b.body.Read(p)
	b.left -= int64(n)
	if errors.Is(err, io.EOF) {
		b.over = true
		b.conn.watcher.arm(b.conn)
	}
	return n, err
}

// Close leaves it to the connection what becomes of the rest.
func (b *requestBody) Close() error { return nil }

// end makes later reads fail and waits for the one under way.
func (b *requestBody) end() {
	if b == nil {
		return
	}
	if !b.mu.TryLock() {
		b.conn.readUntil(past)
		b.mu.Lock()
	}
	b.late = true
	b.mu.Unlock()
}

// here reports whether all of the body that was not read yet came already.
func (b *requestBody) here() bool {
	if b == nil {
		return true
	}
	if !b.mu.TryLock() {
		return false // somebody waits for more of it
	}
	defer b.mu.Unlock()
	return b.ended()
}

// ended needs the lock.
func (b *requestBody) ended() bool {
	return b.over || !b.expect && b.left >= 0 && b.left <= int64(b.conn.r.Buffered())
}

// drop reads what is there already of a body that no handler reads any more,
// and reports whether nothing of it is left on the connection.
func (b *requestBody) drop() bool {
	if b == nil {
		return true
	}
	if !b.mu.TryLock() {
		return false
	}
	defer b.mu.Unlock()
	if !b.over && b.ended() {
		_, err := io.Copy(io.Discard, b.body)
		b.over = err == nil
	}
	return b.over
}
