package egress

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, copyBuffer); return &b }}

// respond passes the origin's response on as it comes.
func (x *exchange) respond(response *http.Response) {
	x.status = response.StatusCode
	x.patient.done()
	if reason := x.unreadable(response); reason != "" {
		x.status = http.StatusBadGateway
		x.conclude("failed", reason)
		upstreamTrouble(x.w, x.status, x.authority.Host.String(), reason)
		return
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		x.switchProtocols(response)
		return
	}
	stripHop(response.Header, false)
	h := x.w.Header()
	for name, values := range response.Header {
		h[name] = values
	}
	// The one would send the agent to a protocol that cannot leave, the other
	// is ours to say.
	h.Del("Alt-Svc")
	h.Del(policy.BlockHeader)
	announced := slices.Collect(maps.Keys(response.Trailer))
	if len(announced) > 0 {
		h["Trailer"] = announced
	}
	x.w.WriteHeader(response.StatusCode)
	if err := x.copyBody(response); err != nil {
		x.brokenOff(err)
	}
	if x.cutReason() != "" { // the origin's end came from that
		x.abort()
	}
	x.passTrailer(response.Trailer, announced)
	x.conclude(allowed, "")
}

const (
	reasonCoding = "the origin answered in a coding that cannot be searched for the credential"
	reasonEcho   = "the origin's answer holds the credential"
)

// unreadable says why a response to a request with our credential must not
// pass; "" is nothing.
func (x *exchange) unreadable(response *http.Response) string {
	if x.token == nil {
		return ""
	}
	for _, coding := range response.Header["Content-Encoding"] {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return reasonCoding
		}
	}
	if len(response.TransferEncoding) > 0 && !strings.EqualFold(response.TransferEncoding[0], "chunked") {
		return reasonCoding
	}
	if x.echoed(response.Header) || x.echoed(response.Trailer) {
		return reasonEcho
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		response.Body = &searched{x.token.scanner.Reader("response", response.Body), response.Body}
	}
	return ""
}

// echoed reports whether a header or trailer holds the injected credential.
// Names lost the case they were written in, and those of trailers that are only
// announced have no value.
func (x *exchange) echoed(h http.Header) bool {
	for name, values := range h {
		if x.token.names.Text("response header", strings.ToLower(name)) != nil {
			return true
		}
		for _, value := range values {
			if x.token.scanner.Text("response header", name+": "+value) != nil {
				return true
			}
		}
	}
	return false
}

// searched is a response body behind a scanner.
type searched struct {
	io.Reader
	io.Closer
}

// copyBody copies and flushes: what came must not wait for what comes.
func (x *exchange) copyBody(response *http.Response) error {
	buffer := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buffer)
	flusher := http.NewResponseController(x.w)
	var head *headTimer
	body, ok := response.Body.(interface{ Buffered() int })
	if there := ok && response.ContentLength > 0 && body.Buffered() > 0; !there {
		head = newHeadTimer(flusher.Flush)
	}
	for {
		n, err := response.Body.Read(*buffer)
		head.done()
		head = nil
		if n > 0 {
			x.got += int64(n)
			if _, err := x.w.Write((*buffer)[:n]); err != nil {
				return err
			}
			if x.got != response.ContentLength && err == nil {
				if err := flusher.Flush(); err != nil {
					return err
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// headWait is how long a response's head waits to go together with the first
// bytes of the body.
const headWait = time.Millisecond

// headTimer flushes the head of a response whose body does not come.
type headTimer struct {
	timer *time.Timer
	mu    sync.Mutex
	flush func() error
	over  bool
}

func newHeadTimer(flush func() error) *headTimer {
	h := &headTimer{flush: flush}
	h.timer = time.AfterFunc(headWait, h.expire)
	return h
}

func (h *headTimer) expire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over {
		_ = h.flush()
	}
}

// done says that the body came; after it no flush is under way.
func (h *headTimer) done() {
	if h == nil {
		return
	}
	h.timer.Stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
}

// brokenOff ends a response that cannot be completed. It does not return.
func (x *exchange) brokenOff(err error) {
	var found *secretscan.Finding
	if errors.As(err, &found) {
		x.role.Log.Warn("response cut", "host", x.authority.Host.String(), "reason", reasonEcho)
		x.conclude("cut", reasonEcho)
		panic(http.ErrAbortHandler)
	}
	x.abort()
}

// passTrailer passes the trailers on; those announced in the head go by their
// own name.
func (x *exchange) passTrailer(trailer http.Header, announced []string) {
	if len(trailer) == 0 {
		return
	}
	if x.token != nil && x.echoed(trailer) {
		x.conclude("cut", reasonEcho)
		panic(http.ErrAbortHandler)
	}
	if len(announced) == 0 {
		// Without announcement only a body in chunks can have trailers.
		_ = http.NewResponseController(x.w).Flush()
	}
	h := x.w.Header()
	for name, values := range trailer {
		if len(values) == 0 {
			continue // HTTP/2 would wait for what was announced and did not come
		}
		if !slices.Contains(announced, name) {
			name = http.TrailerPrefix + name
		}
		h[name] = values
	}
}
