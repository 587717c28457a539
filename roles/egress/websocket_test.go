package egress

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/claude-bottle/claude-bottle/policy"
)

// socketOrigin makes the origin a WebSocket server that echoes and collects.
func socketOrigin(l *lab) func() []string {
	var mu sync.Mutex
	var heard []string
	l.origin.handler = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-Websocket-Extensions") != "" {
			http.Error(w, "extensions", 400)
			return
		}
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		if r.URL.Path == "/leak" {
			c.Write(r.Context(), websocket.MessageText, []byte("you sent "+r.Header.Get("Authorization")))
		}
		for {
			kind, message, err := c.Read(r.Context())
			if err != nil {
				return
			}
			mu.Lock()
			heard = append(heard, string(message))
			mu.Unlock()
			if c.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		h := heard
		heard = nil
		return h
	}
}

func (l *lab) socket(address string) (*websocket.Conn, *http.Response, error) {
	client := &http.Client{Transport: &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: l.proxy}),
		TLSClientConfig: &tls.Config{RootCAs: l.roots},
	}}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, response, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: client, CompressionMode: websocket.CompressionContextTakeover})
	if c != nil {
		c.SetReadLimit(-1)
		l.t.Cleanup(func() { c.CloseNow() })
	}
	return c, response, err
}

func TestWebSocket(t *testing.T) {
	l := newLab(t, route("api.test", "websocket: true")+route("other.test")+route("api.test", "ports: [80]", "websocket: true"))
	heard := socketOrigin(l)
	if _, response, err := l.socket("wss://other.test/"); err == nil || response.Header.Get(policy.BlockHeader) != string(policy.Upgrade) {
		t.Errorf("a route without websocket: %v", err)
	}
	if got := l.origin.all(); len(got) > 0 {
		t.Errorf("the origin was asked %v", got)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, address := range []string{"wss://api.test/", "ws://api.test/"} {
		c, _, err := l.socket(address)
		if err != nil {
			t.Fatal(err)
		}
		for _, message := range []string{"", "short", strings.Repeat("text ", 40), strings.Repeat("0123456789 some words\n", 60_000)} {
			if err := c.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
				t.Fatal(err)
			}
			kind, got, err := c.Read(ctx)
			if err != nil || kind != websocket.MessageText || string(got) != message {
				t.Fatalf("%s: %d bytes sent, %d came back: %v", address, len(message), len(got), err)
			}
		}
		if err := c.Write(ctx, websocket.MessageBinary, bytes.Repeat([]byte{0, 1, 2, 3}, 10_000)); err != nil {
			t.Fatal(err)
		}
		if kind, got, err := c.Read(ctx); kind != websocket.MessageBinary || len(got) != 40_000 {
			t.Fatalf("%v %d %v", kind, len(got), err)
		}
		if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
			t.Errorf("closing: %v", err)
		}
	}
	heard()
	for name, messages := range map[string][]string{
		"in a message":     {"clean", "a " + known + " b"},
		"at a far end":     {strings.Repeat("words and words\n", 20_000) + known},
		"over two":         {"x hunter2-hunt", "er2-hunter2 y"},
		"over three":       {"hunter2-", "hunter2-", "hunter2"},
		"in the same byte": {known},
	} {
		c, _, err := l.socket("wss://api.test/")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for _, message := range messages {
				c.Write(ctx, websocket.MessageText, []byte(message))
			}
		}()
		for err == nil {
			_, _, err = c.Read(ctx)
		}
		if websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
			t.Errorf("%s: the agent is not told: %v", name, err)
		}
		if got := strings.Join(heard(), ""); strings.Contains(got, known) {
			t.Errorf("%s: the secret arrived", name)
		}
	}
	l.wantVerdicts(5, `"rule":"secret"`)
}

// TestFileOverMessages: a compressed file hides nothing in messages however
// small, whatever its head holds and whether it has an end.
func TestFileOverMessages(t *testing.T) {
	l := newLab(t, route("api.test", "websocket: true"))
	heard := make(chan string, 1) // by one connection, when it ended
	l.origin.handler = func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		var all strings.Builder
		for err == nil {
			var message []byte
			_, message, err = c.Read(r.Context())
			all.Write(message)
		}
		heard <- all.String()
	}
	file := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Name, z.Comment = strings.Repeat("a long name ", 40), strings.Repeat("and a comment ", 35)
		io.WriteString(z, strings.Repeat("some words and others. ", 20)+text)
		z.Close()
		return b.String()
	}
	send := func(file string, size int) (arrived string, status websocket.StatusCode) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c := must2(l.socket("wss://api.test/"))(t)
		go func() {
			for piece := range slices.Chunk([]byte(file), size) {
				if c.Write(ctx, websocket.MessageBinary, piece) != nil {
					return
				}
			}
			c.Close(websocket.StatusNormalClosure, "")
		}()
		var err error
		for err == nil {
			_, _, err = c.Read(ctx)
		}
		return <-heard, websocket.CloseStatus(err)
	}
	for _, size := range []int{1, 7, 100, 700, 3000} {
		for name, text := range map[string]string{"whole": file(known), "without an end": strings.TrimSuffix(file(known), file(known)[len(file(known))-8:])} {
			arrived, status := send(text, size)
			if z, err := gzip.NewReader(strings.NewReader(arrived)); err == nil {
				if plain, _ := io.ReadAll(z); strings.Contains(string(plain), known) {
					t.Errorf("%s in messages of %d: the secret arrived", name, size)
				}
			}
			// What the agent still sends may keep the reason from it.
			if len(arrived) == len(text) || status == websocket.StatusNormalClosure {
				t.Errorf("%s in messages of %d: the conversation went on: %v", name, size, status)
			}
		}
		clean := file("nothing of interest")
		if arrived, _ := send(clean, size); arrived != clean {
			t.Errorf("control: in messages of %d: %d bytes arrived of %d", size, len(arrived), len(clean))
		}
	}
}

// must2 is must for a dialled socket.
func must2(c *websocket.Conn, _ *http.Response, err error) func(testing.TB) *websocket.Conn {
	return must(c, err)
}

// TestWebSocketEcho: with an injected credential the origin's frames are read.
func TestWebSocketEcho(t *testing.T) {
	l := newLab(t, route("api.test", "websocket: true", withToken))
	socketOrigin(l)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, _, err := l.socket("wss://api.test/")
	if err != nil {
		t.Fatal(err)
	}
	c.Write(ctx, websocket.MessageText, []byte("hello"))
	if _, got, err := c.Read(ctx); string(got) != "hello" {
		t.Fatalf("control: %q %v", got, err)
	}
	if got := l.origin.all(); len(got) != 1 || got[0].header.Get("Authorization") != "Bearer "+secretToken {
		t.Errorf("the origin got %v", got)
	}
	if c, _, err = l.socket("wss://api.test/leak"); err != nil {
		t.Fatal(err)
	}
	_, got, err := c.Read(ctx)
	if err == nil || strings.Contains(string(got), secretToken) {
		t.Errorf("the agent got %q", got)
	}
}

// frame is a masked frame as an agent sends it.
func frame(first byte, payload string, mask bool) string {
	b := []byte{first, byte(len(payload))}
	if len(payload) > 125 {
		b = binary.BigEndian.AppendUint16([]byte{first, 126}, uint16(len(payload)))
	}
	if !mask {
		return string(b) + payload
	}
	b[1] |= 0x80
	b = append(b, 1, 2, 3, 4)
	for i := range len(payload) {
		b = append(b, payload[i]^byte(i&3+1))
	}
	return string(b)
}

// TestFrames by hand: what a client library would never send.
func TestFrames(t *testing.T) {
	l := newLab(t, route("api.test", "websocket: true"))
	heard := socketOrigin(l)
	open := func() (*tls.Conn, *bufio.Reader) {
		conn := l.tunnel("api.test")
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: api.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
		r := bufio.NewReader(conn)
		response, err := http.ReadResponse(r, nil)
		if err != nil || response.StatusCode != 101 || response.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
			t.Fatalf("%v %v", response, err)
		}
		return conn, r
	}
	conn, r := open()
	fmt.Fprint(conn, frame(0x01, "frag", true)+frame(0x89, "ping", true)+frame(0x80, "mented", true))
	if pong, err := r.Peek(6); string(pong) != "\x8a\x04ping" {
		t.Errorf("the ping came back as %q %v", pong, err)
	}
	r.Discard(6)
	if got, err := r.Peek(12); string(got) != "\x81\x0afragmented" {
		t.Errorf("the message came back as %q %v", got, err)
	}
	heard()
	for name, bytes := range map[string]string{
		"not masked":           frame(0x81, "abc", false),
		"compressed":           frame(0xc1, "abc", true),
		"unknown opcode":       frame(0x83, "abc", true),
		"continues nothing":    frame(0x80, "abc", true),
		"message in a message": frame(0x01, "a", true) + frame(0x81, "b", true),
		"long ping":            frame(0x89, strings.Repeat("x", 126), true),
		"fragmented ping":      frame(0x09, "x", true),
		"secret in a ping":     frame(0x89, known, true),
		"secret over pings":    frame(0x89, known[:12], true) + frame(0x89, known[12:], true),
		"secret in fragments":  frame(0x01, known[:12], true) + frame(0x89, "", true) + frame(0x80, known[12:], true),
	} {
		conn, r := open()
		io.WriteString(conn, bytes)
		rest, err := io.ReadAll(r)
		if !strings.Contains(string(rest), "blocked") {
			t.Errorf("%s: the agent is not told: %q %v", name, rest, err)
		}
		if got := heard(); len(got) > 0 {
			t.Errorf("%s: %q arrived", name, got)
		}
	}
}
