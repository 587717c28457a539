package http1

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// pieces of answers, of which random ones make a stream that an origin gives to
// every request.
var pieces = []string{
	"HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 OK\r\n", "HTTP/1.1 204 No Content\r\n", "HTTP/1.1 304 Not Modified\r\n", "HTTP/1.1 206 P\r\n",
	"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", "HTTP/1.1 404\r\n", "HTTP/2.0 200 OK\r\n",
	"Content-Length: 4\r\n", "Content-Length: 0\r\n", "Content-Length: 9\r\n", "Content-Length: 4, 4\r\n", "Content-Length: -1\r\n", "Content-Length: +4\r\n",
	"Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n", "Transfer-Encoding: chunked, chunked\r\n", "Transfer-Encoding: identity\r\n",
	"Connection: close\r\n", "Connection: keep-alive\r\n", "Trailer: X-T\r\n", "X-A: b\r\n", "X-A : b\r\n", " folded\r\n", "X-A: a\rb\r\n", "X-A: \x00\r\n", "X-A: b\n",
	"\r\n", "\r\n", "\r\n", "body", "4\r\nbody\r\n", "4;x=y\r\nbody\r\n", "0\r\n\r\n", "0\r\nX-T: v\r\n\r\n", "ffffffffffffffff\r\n", "5\r\nbody\r\n", "\x00\xff",
}

// randomStream often begins as an answer does.
func randomStream(r *rand.Rand) string {
	var b strings.Builder
	if r.IntN(4) > 0 {
		b.WriteString(pieces[r.IntN(7)])
		if r.IntN(8) > 0 {
			for range r.IntN(3) {
				b.WriteString(pieces[9+r.IntN(19)])
			}
			b.WriteString("\r\n")
		}
	}
	for range r.IntN(4) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

// TestTransportAsNetHTTP: whatever an origin says, it is taken, or not, as by
// net/http's Transport.
func TestTransportAsNetHTTP(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 150 {
		stream := randomStream(r)
		method := []string{"GET", "HEAD", "POST"}[r.IntN(3)]
		var got [2]string
		for i := range got {
			o := newOrigin(t, func(_ int32, c net.Conn, r *bufio.Reader) {
				if _, ok := heard(r); !ok {
					return
				}
				_, _ = io.WriteString(c, stream)
			})
			var rt http.RoundTripper = o.transport
			if i == 1 {
				rt = &http.Transport{
					DialContext: o.transport.Dial, TLSClientConfig: o.transport.TLS, DisableCompression: true,
					DisableKeepAlives: true, MaxResponseHeaderBytes: o.transport.MaxHead,
				}
			}
			got[i] = outcomeOf(rt, method, o.url)
		}
		if got[0] != got[1] {
			t.Errorf("%s %q:\nhttp1    %s\nnet/http %s", method, stream, got[0], got[1])
		}
	}
}

// outcomeOf is all that a caller sees of an answer.
func outcomeOf(rt http.RoundTripper, method, url string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	request, _ := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(nil))
	response, err := rt.RoundTrip(request)
	if err != nil {
		return "error"
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	return fmt.Sprintf("%s %s %v %d %v %v %v %q %v", response.Proto, response.Status, response.Header, response.ContentLength,
		response.TransferEncoding, response.Close, response.Trailer, b, err != nil)
}
