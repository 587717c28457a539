package egress

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/claude-bottle/claude-bottle/policy"
)

// wireConn stands between an agent's HTTP/1 connection and net/http's server
// and lets only messages through that every server frames alike. A head that
// breaks the grammar is replaced by a request for the marker, which the handler
// answers with the refusal in broken; nothing after it is read. A body whose
// chunks are broken ends in an error.
//
// After a CONNECT head, and after raw, bytes pass as they come.
type wireConn struct {
	net.Conn
	marker string
	// broken is why the connection went no further; nil while all is well.
	broken atomic.Pointer[violation]

	// connectHost is the Host of a CONNECT, which net/http does not hand on;
	// nil = it had none.
	connectHost *string

	buf   []byte // read from the wire, not yet handed on
	ready int    // bytes at the front of buf that may be handed on
	state wireState
	left  int64 // bytes left of the body or chunk, with the chunk's CRLF
}

type wireState int

const (
	wireHead wireState = iota
	wireBody
	wireChunkLine
	wireChunkData
	wireTrailers
	wireRaw
	wireEnd // nothing more is handed on
)

// violation is what a message breaks.
type violation struct {
	rule   policy.Rule
	reason string
	// method and target as far as they could be read.
	method, target string
}

const (
	// maxHead bounds a request's head; more is malformed.
	maxHead = 256 << 10
	// maxChunkLine bounds a chunk's size line, maxTrailers the trailers.
	maxChunkLine = 64
	maxTrailers  = 64 << 10
	wireBuffer   = 4 << 10
	// wholeRecord is the most that a TLS record holds, gatherTime how long what
	// was read waits for one that follows.
	wholeRecord = 16 << 10
	gatherTime  = time.Millisecond
)

func newWireConn(c net.Conn, marker string) *wireConn {
	return &wireConn{Conn: c, marker: marker}
}

// raw ends the parsing: what was read and what comes is handed on as it is.
// The caller owns the connection.
func (c *wireConn) raw() {
	if c.state != wireEnd {
		c.state, c.ready = wireRaw, len(c.buf)
	}
}

// below is the connection that carries this one, without TLS.
func (c *wireConn) below() net.Conn {
	if secured, ok := c.Conn.(*tls.Conn); ok {
		return secured.NetConn().(*hijacked).Conn
	}
	return c.Conn
}

func (c *wireConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		switch {
		case c.ready > 0:
			n := copy(p, c.buf[:c.ready])
			c.consume(n)
			return n, nil
		case c.state == wireEnd:
			if c.broken.Load() != nil {
				return 0, io.ErrUnexpectedEOF
			}
			return 0, io.EOF
		case c.state == wireRaw:
			return c.Conn.Read(p)
		case len(c.buf) == 0 && c.plainLeft() > 0:
			n, err := c.gather(p[:min(int64(len(p)), c.plainLeft())])
			if c.left -= int64(n); c.left == 0 {
				c.state = wireHead
			}
			return n, err
		}
		if len(c.buf) > 0 && c.advance() {
			continue
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// plainLeft is how many bytes come that are nothing but body.
func (c *wireConn) plainLeft() int64 {
	switch c.state {
	case wireBody:
		return c.left
	case wireChunkData:
		return c.left - int64(len(crlf))
	default:
		return 0
	}
}

// gather reads once, and on while whole TLS records follow without delay: to
// scan and pass on much at a time costs less than to do so record by record.
func (c *wireConn) gather(p []byte) (n int, err error) {
	n, err = c.Conn.Read(p)
	if err != nil || n < wholeRecord || len(p)-n < wholeRecord {
		return n, err
	}
	_ = c.Conn.SetReadDeadline(time.Now().Add(gatherTime))
	for last := n; err == nil && last >= wholeRecord && len(p)-n >= wholeRecord; n += last {
		last, err = c.Conn.Read(p[n:])
	}
	_ = c.Conn.SetReadDeadline(time.Time{})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n, err
}

// consume drops the first n ready bytes.
func (c *wireConn) consume(n int) {
	c.ready -= n
	rest := copy(c.buf, c.buf[n:])
	c.buf = c.buf[:rest]
	if rest == 0 && cap(c.buf) > 4*wireBuffer {
		c.buf = nil
	}
}

// fill reads once from the wire.
func (c *wireConn) fill() error {
	if cap(c.buf)-len(c.buf) < wireBuffer/2 {
		grown := make([]byte, len(c.buf), max(wireBuffer, 2*cap(c.buf)))
		copy(grown, c.buf)
		c.buf = grown
	}
	n, err := c.Conn.Read(c.buf[len(c.buf):cap(c.buf)])
	c.buf = c.buf[:len(c.buf)+n]
	if n > 0 {
		return nil
	}
	return err
}

// advance parses what follows the ready bytes; false asks for more bytes.
func (c *wireConn) advance() bool {
	switch c.state {
	case wireHead:
		return c.advanceHead()
	case wireBody, wireChunkData:
		return c.advanceBody()
	case wireChunkLine:
		return c.advanceChunkLine()
	case wireTrailers:
		return c.advanceTrailers()
	default:
		return false
	}
}

var endOfHead = []byte("\r\n\r\n")

func (c *wireConn) advanceHead() bool {
	// An empty line before a request is allowed, RFC 9112, section 2.2.
	if bytes.HasPrefix(c.buf, endOfHead[:2]) {
		c.ready = 0
		c.buf = c.buf[:copy(c.buf, c.buf[2:])]
		return len(c.buf) > 0
	}
	end := bytes.Index(c.buf, endOfHead)
	if end < 0 {
		if lf := bytes.IndexByte(c.buf, '\n'); lf == 0 || lf > 0 && c.buf[lf-1] != '\r' {
			return c.refuse(malformed("a line of the head ends without a carriage return"))
		}
		if len(c.buf) > maxHead {
			return c.refuse(malformed("the head of the request is longer than 256 KiB"))
		}
		return false
	}
	end += len(endOfHead)
	f, broken := parseHead(c.buf[:end])
	if broken != nil {
		return c.refuse(broken)
	}
	c.ready = end
	switch {
	case f.connect:
		c.state, c.ready, c.connectHost = wireRaw, len(c.buf), f.host
	case f.chunked:
		c.state = wireChunkLine
	case f.length > 0:
		c.state, c.left = wireBody, f.length
	}
	return true
}

// refuse hands on a request for the marker instead of what was read.
func (c *wireConn) refuse(v *violation) bool {
	c.broken.Store(v)
	c.state = wireEnd
	c.buf = append(c.buf[:0], "GET "+c.marker+" HTTP/1.1\r\nHost: invalid\r\n\r\n"...)
	c.ready = len(c.buf)
	return true
}

// breakBody ends the connection in the middle of a body.
func (c *wireConn) breakBody(reason string) bool {
	c.broken.Store(malformed(reason))
	c.state, c.buf, c.ready = wireEnd, nil, 0
	return true
}

// advanceBody releases what is there of a body or of a chunk's data.
func (c *wireConn) advanceBody() bool {
	n := min(int64(len(c.buf)), c.left)
	c.left -= n
	c.ready = int(n)
	if c.left > 0 {
		return true
	}
	if c.state == wireBody {
		c.state = wireHead
		return true
	}
	if !endsChunk(c.buf[:n]) {
		return c.breakBody("a chunk is not followed by a line end")
	}
	c.state = wireChunkLine
	return true
}

// endsChunk checks as much of the CRLF after a chunk as is in view.
func endsChunk(tail []byte) bool {
	return tail[len(tail)-1] == '\n' && (len(tail) < 2 || tail[len(tail)-2] == '\r')
}

func (c *wireConn) advanceChunkLine() bool {
	lf := bytes.IndexByte(c.buf, '\n')
	if lf < 0 {
		if len(c.buf) > maxChunkLine {
			return c.breakBody("a chunk's size line is too long")
		}
		return false
	}
	size, ok := chunkSize(c.buf[:lf+1])
	if !ok {
		return c.breakBody("a chunk's size is no plain hexadecimal number")
	}
	c.ready = lf + 1
	if size == 0 {
		c.state = wireTrailers
	} else {
		c.state, c.left = wireChunkData, size+2
	}
	return true
}

func (c *wireConn) advanceTrailers() bool {
	end := 2
	if !bytes.HasPrefix(c.buf, endOfHead[:2]) {
		end = bytes.Index(c.buf, endOfHead)
		if end < 0 {
			if len(c.buf) > maxTrailers {
				return c.breakBody("the trailers are longer than 64 KiB")
			}
			return false
		}
		end += len(endOfHead)
		if broken := checkTrailers(c.buf[:end]); broken != nil {
			return c.breakBody(broken.reason)
		}
	}
	c.ready, c.state = end, wireHead
	return true
}
