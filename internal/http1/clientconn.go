package http1

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// clientConn is a connection to an origin. One goroutine at a time uses it,
// but for close.
type clientConn struct {
	transport *Transport
	authority string
	secured   net.Conn // with TLS
	wire      net.Conn // below TLS
	raw       syscall.RawConn
	r         *bufio.Reader
	w         *bufio.Writer
	left      int64 // bytes that may be read
	used      bool  // it carried a request before
	since     time.Time
}

func newClientConn(t *Transport, authority string, secured, wire net.Conn) *clientConn {
	c := &clientConn{transport: t, authority: authority, secured: secured, wire: wire, left: math.MaxInt64}
	if below, ok := wire.(syscall.Conn); ok {
		c.raw, _ = below.SyscallConn() // nil = it cannot be asked
	}
	c.r, c.w = bufio.NewReaderSize(c, 2*bufferSize), bufio.NewWriterSize(secured, recordBufferSize)
	return c
}

// Read reads what the bound of the head allows.
func (c *clientConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errLongHead
	}
	n, err := c.secured.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// close ends what is under way at once, below TLS.
func (c *clientConn) close() { _ = c.wire.Close() }

// leave closes a connection that nothing is under way on, and says so to the
// other end.
func (c *clientConn) leave() { _ = c.secured.Close() }

// quiet reports whether a kept connection has nothing to say. An origin that
// ended it, or that speaks unasked, is not asked again: what it said would be
// taken for the next answer.
func (c *clientConn) quiet() bool {
	return c.r.Buffered() == 0 && c.nothingRead() && c.nothingCame()
}

// nothingRead reports whether TLS holds no more than was asked of it: a read
// that must not wait finds nothing.
func (c *clientConn) nothingRead() bool {
	if c.secured.SetReadDeadline(past) != nil {
		return false
	}
	var one [1]byte
	n, err := c.secured.Read(one[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && c.secured.SetReadDeadline(time.Time{}) == nil
}

// nothingCame reports whether the socket is open and holds nothing.
func (c *clientConn) nothingCame() bool {
	if c.raw == nil {
		return true
	}
	nothing := false
	err := c.raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		nothing = errors.Is(err, unix.EAGAIN)
		return true
	})
	return err == nil && nothing
}

// roundTrip sends the request and reads the head of the answer. After an error
// the connection is closed.
func (c *clientConn) roundTrip(request *http.Request) (_ *http.Response, err error) {
	stop := context.AfterFunc(request.Context(), c.close)
	defer func() {
		if err != nil {
			stop()
			c.close()
		}
	}()
	sent := request.Write(c.w)
	if sent == nil {
		sent = c.w.Flush()
	}
	// Who refuses a request early answers it early: there may be an answer
	// although it could not be written.
	c.left = math.MaxInt64
	if c.transport.MaxHead > 0 {
		c.left = c.transport.MaxHead
	}
	if _, err := c.r.Peek(1); err != nil {
		return nil, fmt.Errorf("%w: %w", errLost, cmp.Or(sent, err))
	}
	response, err := c.readHead(request)
	if err != nil {
		return nil, err
	}
	c.left = math.MaxInt64
	body := &responseBody{
		conn: c, body: response.Body, ctx: request.Context(), stop: stop,
		keep: sent == nil && !response.Close && !request.Close,
	}
	if request.Method == http.MethodHead || response.ContentLength == 0 {
		body.end(true)
	} else {
		response.Body = body
	}
	return response, nil
}

// readHead reads past interim responses.
func (c *clientConn) readHead(request *http.Request) (*http.Response, error) {
	for range mostInterim + 1 {
		response, err := http.ReadResponse(c.r, request)
		switch {
		case err != nil:
			return nil, err
		case response.StatusCode == http.StatusSwitchingProtocols:
			return nil, errUnasked
		case response.StatusCode >= http.StatusOK:
			return response, nil
		}
	}
	return nil, errInterim
}

// responseBody gives its connection back when it was read to its end.
type responseBody struct {
	conn *clientConn
	body io.Reader
	ctx  context.Context
	stop func() bool // ends the watch over ctx
	keep bool
	over bool
}

func (b *responseBody) Read(p []byte) (int, error) {
	if b.over {
		return 0, io.EOF
	}
	n, err := b.body.Read(p)
	if err == nil {
		return n, nil
	}
	b.end(errors.Is(err, io.EOF))
	if ended := b.ctx.Err(); ended != nil && !errors.Is(err, io.EOF) {
		err = ended
	}
	return n, err
}

// Buffered is how much of the body is here already, in bytes, with what frames
// it.
func (b *responseBody) Buffered() int { return b.conn.r.Buffered() }

// Close ends the connection when not all was read.
func (b *responseBody) Close() error {
	if !b.over {
		b.end(false)
	}
	return nil
}

func (b *responseBody) end(whole bool) {
	b.over = true
	switch c := b.conn; {
	case !b.stop() || !whole:
		c.close()
	case !b.keep || c.r.Buffered() > 0 || !c.transport.keep(c):
		c.leave()
	}
}
