package egress

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"strings"
	"sync/atomic"
	"time"

	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

const (
	// maxBuffered is how much of a body is scanned before the request is
	// sent: most secrets are found before the origin hears of it.
	maxBuffered = 128 << 10
	// holdBody is how long that may take for a body without length, which may
	// be one side of a conversation.
	holdBody = 20 * time.Millisecond
)

// outBody is a request's body on its way out.
type outBody struct {
	buffered []byte // scanned, unless the scan step has yet to come
	rest     *pump  // what follows, scanned as it comes; nil = buffered is all
	trailer  http.Header
	finding  atomic.Pointer[secretscan.Finding]
}

// openBody puts the scanner before the body.
func (x *exchange) openBody() *policy.Decision {
	if x.body != nil { // read whole to decide on it
		clean, err := io.ReadAll(x.scanner.Reader("body", bytes.NewReader(x.body.buffered)))
		x.body.buffered = clean
		return x.bodyTrouble(err)
	}
	length := x.in.ContentLength
	if length == 0 || x.in.Body == nil || x.in.Body == http.NoBody {
		return nil
	}
	if coding := strings.Join(x.in.Header["Content-Encoding"], ", "); !scannable(coding) {
		return x.block(policy.Secret, "a body in the coding "+coding+" cannot be scanned", "send the body without Content-Encoding, or with gzip")
	}
	scanned := x.scanner.Reader("body", x.patient)
	x.body = &outBody{}
	if length > 0 && length <= maxBuffered && x.in.Header["Expect"] == nil {
		x.body.buffered = make([]byte, length)
		_, err := io.ReadFull(scanned, x.body.buffered)
		if err == nil {
			// Some of it is told only when nothing follows.
			if _, err = scanned.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
				err = nil
			}
		}
		return x.bodyTrouble(err)
	}
	if length < 0 {
		x.body.trailer = declaredTrailer(x)
	}
	x.body.rest = newPump(&announced{scanned, x})
	if x.in.Header["Expect"] != nil {
		return nil // the origin is asked first whether it wants the body
	}
	wait := holdBody
	if length > 0 {
		wait = headerTimeout
	}
	if err := x.body.rest.hold(maxBuffered, wait); !errors.Is(err, io.EOF) {
		return x.bodyTrouble(err)
	}
	return nil
}

// scannable reports whether the scanner sees through a body's coding. What
// "deflate" means differs from one client to the next.
func scannable(coding string) bool {
	switch strings.ToLower(coding) {
	case "", "identity", "gzip", "x-gzip":
		return true
	}
	return false
}

// announced fills the trailers in at the end of a body.
type announced struct {
	io.Reader
	x *exchange
}

func (a *announced) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		if found := a.x.fillTrailer(); found != nil {
			return n, found
		}
	}
	return n, err
}

// bodyTrouble is the refusal of a body that could not be read.
func (x *exchange) bodyTrouble(err error) *policy.Decision {
	var found *secretscan.Finding
	switch {
	case err == nil:
		return nil
	case errors.As(err, &found):
		return x.blockSecret(found)
	case x.patient.gaveUp():
		return x.block(policy.Malformed, reasonStalled, remedyMalformed)
	default:
		return x.block(policy.Malformed, "the body ended early", remedyMalformed)
	}
}

// attach makes the body that of the forwarded request.
func (b *outBody) attach(out *http.Request, x *exchange) {
	out.Trailer = b.trailer
	if b.rest == nil {
		out.ContentLength = int64(len(b.buffered))
		out.GetBody = func() (io.ReadCloser, error) {
			return &bodyReader{Reader: bytes.NewReader(b.buffered), x: x}, nil
		}
		out.Body, _ = out.GetBody()
		return
	}
	out.ContentLength = x.in.ContentLength
	out.Body = &bodyReader{Reader: b.rest, x: x}
}

// bodyReader counts what leaves and keeps what stopped it.
type bodyReader struct {
	io.Reader
	x *exchange
}

func (r *bodyReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.x.sent.Add(int64(n))
	var found *secretscan.Finding
	if errors.As(err, &found) {
		r.x.body.finding.Store(found)
	}
	return n, err
}

// Close ends the reading of the agent's body.
func (r *bodyReader) Close() error {
	if r.x.body.rest != nil {
		return r.x.body.rest.Close()
	}
	return nil
}

// declaredTrailer is the trailers that the agent announced and that may pass;
// their values come after the body.
func declaredTrailer(x *exchange) http.Header {
	trailer := make(http.Header)
	for name := range x.in.Trailer {
		if mayTrail(name) && !x.stripped(name) {
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
	switch foldedName(name) {
	case "connection", "content-encoding", "content-length", "content-range", "content-type", "cookie", "expect",
		"host", "http2-settings", "keep-alive", "proxy-connection", "set-cookie", "te", "trailer",
		"transfer-encoding", "upgrade":
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
