package egress

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"sync/atomic"

	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// maxBuffered is how much of a body whose length is known is scanned before
// the request is sent: most secrets are found before the origin hears of it.
const maxBuffered = 256 << 10

// outBody is a request's body on its way out.
type outBody struct {
	buffered []byte    // scanned, unless the scan step has yet to come
	rest     io.Reader // scanned as it is read; nil = buffered is all
	trailer  http.Header
	finding  atomic.Pointer[secretscan.Finding]
}

// openBody puts the scanner before the body.
func (x *exchange) openBody() *policy.Decision {
	s := x.role.Scanner
	if x.body != nil { // read whole to decide on it
		clean, err := io.ReadAll(s.Reader("body", bytes.NewReader(x.body.buffered)))
		x.body.buffered = clean
		return x.bodyTrouble(err)
	}
	length := x.in.ContentLength
	if length == 0 || x.in.Body == nil || x.in.Body == http.NoBody {
		return nil
	}
	b := &outBody{rest: s.Reader("body", x.in.Body)}
	x.body = b
	if length < 0 {
		b.trailer = declaredTrailer(x)
		return nil
	}
	if x.in.Header.Get("Expect") != "" {
		return nil // the origin is asked first whether it wants the body
	}
	b.buffered = make([]byte, min(length, maxBuffered))
	n, err := io.ReadFull(b.rest, b.buffered)
	b.buffered = b.buffered[:n]
	if int64(n) == length && err == nil {
		b.rest = nil
	}
	return x.bodyTrouble(err)
}

// bodyTrouble is the refusal of a body that could not be read.
func (x *exchange) bodyTrouble(err error) *policy.Decision {
	var found *secretscan.Finding
	switch {
	case err == nil:
		return nil
	case errors.As(err, &found):
		return x.blockSecret(found)
	default:
		return x.block(policy.Malformed, "the body ended early", remedyMalformed)
	}
}

// attach makes the body that of the forwarded request.
func (b *outBody) attach(out *http.Request, x *exchange) {
	out.ContentLength = x.in.ContentLength
	out.Trailer = b.trailer
	reader := func() io.ReadCloser {
		return &bodyReader{x: x, buffered: b.buffered}
	}
	out.Body = reader()
	if b.rest == nil {
		out.ContentLength = int64(len(b.buffered))
		out.GetBody = func() (io.ReadCloser, error) { return reader(), nil }
	}
}

// bodyReader reads an outBody once.
type bodyReader struct {
	x        *exchange
	buffered []byte
	closed   atomic.Bool
}

func (r *bodyReader) Read(p []byte) (int, error) {
	if len(r.buffered) > 0 {
		n := copy(p, r.buffered)
		r.buffered = r.buffered[n:]
		r.x.sent.Add(int64(n))
		if len(r.buffered) == 0 && r.x.body.rest == nil {
			return n, io.EOF
		}
		return n, nil
	}
	b := r.x.body
	if b.rest == nil {
		return 0, io.EOF
	}
	if r.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.rest.Read(p)
	r.x.sent.Add(int64(n))
	var found *secretscan.Finding
	switch {
	case err == nil:
	case errors.As(err, &found):
		b.finding.Store(found)
	case errors.Is(err, io.EOF):
		if found = r.x.fillTrailer(); found != nil {
			b.finding.Store(found)
			return n, found
		}
	}
	return n, err
}

// Close leaves the rest of the body to the server that reads it.
func (r *bodyReader) Close() error {
	r.closed.Store(true)
	return nil
}

// declaredTrailer is the trailers that the agent announced and that may pass;
// their values come after the body.
func declaredTrailer(x *exchange) http.Header {
	trailer := make(http.Header)
	for name := range x.in.Trailer {
		if mayTrail(name) && (x.route.AgentAuth || !credentialHeader(name)) && (x.route.Auth == nil || name != injectedHeader(x.route)) {
			trailer[name] = nil
		}
	}
	if len(trailer) == 0 {
		return nil
	}
	return trailer
}

// mayTrail reports whether a field can come after the body: it must not frame,
// route or authenticate, RFC 9110, section 6.5.1.
func mayTrail(name string) bool {
	switch name {
	case "Content-Length", "Content-Encoding", "Content-Type", "Content-Range", "Host", "Trailer",
		"Transfer-Encoding", "Te", "Connection", "Upgrade", "Set-Cookie", "Cookie":
		return false
	}
	return true
}

// fillTrailer scans the trailers that came and hands the announced ones on.
func (x *exchange) fillTrailer() *secretscan.Finding {
	if f := x.scanHeader("trailer ", x.in.Trailer); f != nil {
		return f
	}
	for name := range x.body.trailer {
		x.body.trailer[name] = x.in.Trailer[name]
	}
	return nil
}

func canonicalHeader(name string) string { return textproto.CanonicalMIMEHeaderKey(name) }
