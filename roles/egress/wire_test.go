package egress

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
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

func (p *pieces) SetReadDeadline(time.Time) error { return nil }

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.step)], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// TestWholeRecordsAreGathered: what comes in whole records is read as much as
// there is, whatever frames it, and what is there does not wait for what is not.
func TestWholeRecordsAreGathered(t *testing.T) {
	data := strings.Repeat("0123456789abcdef", 64*wholeRecord/16)
	for name, message := range map[string]string{
		"length":  fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", 2*len(data), data),
		"chunked": fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s", 2*len(data), data),
	} {
		agent, here := net.Pipe()
		defer agent.Close()
		go func() {
			for rest := message; len(rest) > 0; {
				n := min(len(rest), wholeRecord)
				if _, err := io.WriteString(agent, rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		r := bufio.NewReader(newWireConn(here, "/marker"))
		request, err := http.ReadRequest(r)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		buffer := make([]byte, 64<<10)
		most := 0
		_ = here.SetReadDeadline(time.Now().Add(patience))
		for len(got) < len(data) {
			n, err := request.Body.Read(buffer)
			if err != nil {
				t.Fatalf("%s: after %d bytes of %d: %v", name, len(got), len(data), err)
			}
			got, most = append(got, buffer[:n]...), max(most, n)
		}
		if string(got) != data {
			t.Errorf("%s: another body came out", name)
		}
		if most <= wholeRecord {
			t.Errorf("%s: %d bytes were read at the most", name, most)
		}
	}
}
