package egress

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

// FuzzWire: however the bytes of a connection are cut, the same messages come
// out, and net/http frames them as they were framed here.
func FuzzWire(f *testing.F) {
	for _, message := range brokenHeads {
		f.Add([]byte(fmt.Sprintf(message, "/v1")), 3)
	}
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 7)
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 1)
	f.Fuzz(func(t *testing.T, sent []byte, step int) {
		whole, _ := io.ReadAll(newWireConn(&pieces{rest: sent, step: len(sent) + 1}, "/marker"))
		cut, _ := io.ReadAll(newWireConn(&pieces{rest: sent, step: 1 + max(0, step%64)}, "/marker"))
		if !bytes.Equal(whole, cut) {
			t.Fatalf("whole %q, cut %q", whole, cut)
		}
		r := bufio.NewReader(bytes.NewReader(whole))
		for {
			request, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if request.Method == http.MethodConnect {
				return
			}
			if request.RequestURI == "/marker" {
				if rest, _ := io.ReadAll(r); len(rest) > 0 {
					t.Fatalf("%q follows a broken message", rest)
				}
				return
			}
			if len(request.TransferEncoding) > 0 && request.ContentLength >= 0 {
				t.Fatalf("two lengths: %q", whole)
			}
			if _, err := io.Copy(io.Discard, request.Body); err != nil {
				return
			}
		}
	})
}

// pieces is a connection that gives its bytes step by step.
type pieces struct {
	net.Conn
	rest []byte
	step int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.step)], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
