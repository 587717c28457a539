package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// response is a handler's ResponseWriter. Flush, deadlines and Hijack may be
// called while another goroutine writes.
type response struct {
	conn    *serverConn
	request *http.Request
	body    *requestBody // nil = the request has none
	header  http.Header

	mu       sync.Mutex
	status   int
	begun    bool // the head is written
	chunked  bool
	close    bool
	hijacked bool
	pending  []byte // body before the head
	length   int64  // of the body as the head tells it; negative = it does not
	written  int64
}

func newResponse(k *serverConn, request *http.Request) *response {
	return &response{
		conn: k, request: request, header: make(http.Header), length: -1,
		close: request.Close || !request.ProtoAtLeast(1, 1),
	}
}

func (w *response) Header() http.Header { return w.header }

// WriteHeader sets the status of the answer. The head is sent with the first
// of the body.
func (w *response) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status != 0 {
		return
	}
	w.status = status
	if w.header["Trailer"] != nil {
		// What is set from now on is for the trailers.
		_ = w.begin()
	}
}

func (w *response) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.hijacked:
		return 0, http.ErrHijacked
	case w.status == 0:
		w.status = http.StatusOK
	}
	if len(p) > 0 && !allowsBody(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	if !w.begun {
		if w.header["Content-Length"] == nil && w.header["Trailer"] == nil && len(w.pending)+len(p) <= pendingSize {
			w.pending = append(w.pending, p...)
			return len(p), nil
		}
		if err := w.begin(); err != nil {
			return 0, err
		}
	}
	return w.write(p)
}

// write writes some of the body behind the head.
func (w *response) write(p []byte) (int, error) {
	switch {
	case len(p) == 0 || w.request.Method == http.MethodHead:
		return len(p), nil
	case w.length >= 0 && int64(len(p)) > w.length-w.written:
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	if !w.chunked {
		return w.conn.w.Write(p)
	}
	var size [18]byte
	_, _ = w.conn.w.Write(append(strconv.AppendInt(size[:0], int64(len(p)), 16), "\r\n"...))
	n, err := w.conn.w.Write(p)
	if err == nil {
		_, err = w.conn.w.WriteString("\r\n")
	}
	return n, err
}

// begin writes the head, and what waited for it.
func (w *response) begin() error {
	w.begun = true
	w.frame()
	out := w.conn.w
	proto := "HTTP/1.1 "
	if !w.request.ProtoAtLeast(1, 1) {
		proto = "HTTP/1.0 "
	}
	text := http.StatusText(w.status)
	if text == "" {
		text = "status code " + strconv.Itoa(w.status)
	}
	_, _ = out.WriteString(proto)
	_, _ = out.WriteString(strconv.Itoa(w.status))
	_ = out.WriteByte(' ')
	_, _ = out.WriteString(text)
	_, _ = out.WriteString("\r\n")
	if err := w.header.WriteSubset(out, w.late()); err != nil {
		return err
	}
	if w.chunked {
		_, _ = out.WriteString("Transfer-Encoding: chunked\r\n")
	}
	if w.close && w.request.ProtoAtLeast(1, 1) {
		_, _ = out.WriteString("Connection: close\r\n")
	}
	_, err := out.WriteString("\r\n")
	if err == nil && len(w.pending) > 0 {
		_, err = w.write(w.pending)
	}
	return err
}

// frame settles how the end of the body is told and what becomes of the
// connection, and leaves in the header what the head says beside that.
func (w *response) frame() {
	h := w.header
	if httpguts.HeaderValuesContainsToken(h["Connection"], "close") || !w.body.here() || w.conn.server.stopping() {
		w.close = true
	}
	delete(h, "Connection")
	delete(h, "Transfer-Encoding")
	if !allowsBody(w.status) {
		delete(h, "Content-Length")
	}
	if w.status == http.StatusNotModified {
		delete(h, "Content-Type")
	}
	if told := h["Content-Length"]; len(told) > 0 {
		n, err := strconv.ParseUint(told[0], 10, 63)
		if err != nil || len(told) > 1 {
			delete(h, "Content-Length")
		} else {
			w.length = int64(n)
		}
	}
	switch {
	case !allowsBody(w.status) || w.request.Method == http.MethodHead || w.length >= 0:
	case w.request.ProtoAtLeast(1, 1):
		w.chunked = true
	}
	if h["Date"] == nil {
		h["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	}
}

// late is the names of the header that are for the trailers.
func (w *response) late() map[string]bool {
	var late map[string]bool
	for name := range w.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			if late == nil {
				late = make(map[string]bool)
			}
			late[name] = true
		}
	}
	return late
}

// allowsBody reports whether a response may have a body, RFC 9110, section 6.4.1.
func allowsBody(status int) bool {
	return status >= http.StatusOK && status != http.StatusNoContent && status != http.StatusNotModified
}

// FlushError sends what was written.
func (w *response) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.hijacked:
		return http.ErrHijacked
	case w.status == 0:
		w.status = http.StatusOK
	}
	if !w.begun {
		if err := w.begin(); err != nil {
			return err
		}
	}
	return w.conn.w.Flush()
}

// finish sends the rest of the response.
func (w *response) finish() outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if !w.begun {
		if w.header["Content-Length"] == nil && w.header["Trailer"] == nil && allowsBody(w.status) &&
			(len(w.pending) > 0 || w.request.Method != http.MethodHead) {
			w.header["Content-Length"] = []string{strconv.Itoa(len(w.pending))}
		}
		if err := w.begin(); err != nil {
			return end
		}
	}
	if w.chunked {
		_, _ = w.conn.w.WriteString("0\r\n")
		_ = w.trailer().Write(w.conn.w)
		_, _ = w.conn.w.WriteString("\r\n")
	}
	if err := w.conn.w.Flush(); err != nil {
		return end
	}
	w.conn.watcher.end(w.conn)
	switch {
	case w.length > w.written && w.request.Method != http.MethodHead && allowsBody(w.status):
		return end // the client must notice that some is missing
	case !w.body.drop():
		return linger
	case w.close || !w.conn.server.finished(w.conn):
		return end
	default:
		return keep
	}
}

// trailer is what comes after the body: the names that the head announced, and
// those with http.TrailerPrefix.
func (w *response) trailer() http.Header {
	trailer := make(http.Header)
	for _, names := range w.header["Trailer"] {
		for name := range strings.SplitSeq(names, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if values := w.header[name]; len(values) > 0 {
				trailer[name] = values
			}
		}
	}
	for name, values := range w.header {
		if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			trailer[name] = values
		}
	}
	return trailer
}

// askForBody tells a client that it may send the body.
func (w *response) askForBody() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun {
		return nil
	}
	_, _ = w.conn.w.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
	return w.conn.w.Flush()
}

func (w *response) SetReadDeadline(t time.Time) error {
	w.conn.readUntil(t)
	return nil
}

func (w *response) SetWriteDeadline(t time.Time) error { return w.conn.SetWriteDeadline(t) }

// Hijack gives the connection to the handler, with what was read of it.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hijacked {
		return nil, nil, http.ErrHijacked
	}
	w.hijacked = true
	w.conn.watcher.end(w.conn)
	w.conn.readUntil(time.Time{})
	return w.conn.Conn, bufio.NewReadWriter(w.conn.r, w.conn.w), w.conn.SetWriteDeadline(time.Time{})
}

var _ io.Writer = (*response)(nil)
