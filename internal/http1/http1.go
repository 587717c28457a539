// Package http1 is HTTP/1.1 with one goroutine for each connection: a Server
// and a Transport that take what net/http's take, in its grammar (ReadRequest,
// ReadResponse, Request.Write), without the goroutines that net/http keeps
// beside each connection and each request. Handing a request from one to the
// next costs more than all the rest of passing it on.
//
// It is for many short requests. What needs both directions of a connection at
// once, a change of protocol or a body that is sent while the answer comes, is
// for net/http's Transport; Server has no such limit.
package http1

import (
	"errors"
	"time"
)

const (
	// bufferSize is that of a connection's reader and writer, in bytes; a
	// request's writer takes a TLS record.
	bufferSize       = 4 << 10
	recordBufferSize = 16 << 10
	// pendingSize is how much of a response without length may wait for its
	// end, in bytes, to be sent with a length and not in chunks.
	pendingSize = 2 << 10
	// watchDelay is how long a request is served until somebody looks whether
	// its client has left; most are over by then.
	watchDelay = 10 * time.Millisecond
	// lingerTime is how long a client that still sends may take to read the
	// answer before the connection is closed under it.
	lingerTime = 500 * time.Millisecond
	// mostInterim bounds the interim responses (1xx) before the final one.
	mostInterim = 5
)

var (
	errLongHead = errors.New("http1: the head of the response is too long")
	errUnasked  = errors.New("http1: the origin changed the protocol unasked")
	errInterim  = errors.New("http1: too many interim responses")
	errTooLate  = errors.New("http1: the request is over")
	// errLost says that the connection ended before anything of the answer came.
	errLost = errors.New("http1: the connection ended before the answer")
)

// past is a deadline that ends what waits.
var past = time.Unix(1, 0)
