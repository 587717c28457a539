package egress

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/claude-bottle/claude-bottle/secretscan"
)

// switchProtocols joins agent and origin after the origin agreed to speak
// WebSocket. The agent's frames are scanned before they leave; on a route with
// a credential the origin's frames are searched for it.
func (x *exchange) switchProtocols(response *http.Response) {
	origin, ok := response.Body.(io.ReadWriteCloser)
	if !ok || !x.webSocket || response.Header.Get("Sec-Websocket-Extensions") != "" || !x.key.answer(response.Header) {
		x.status = http.StatusBadGateway
		x.conclude("failed", reasonProtocol)
		upstreamTrouble(x.w, x.status, x.authority.Host.String(), reasonProtocol)
		return
	}
	agent, buffered, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.abort()
	}
	defer agent.Close()
	defer origin.Close()
	x.wire().raw()
	// What ends the exchange ends both connections.
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-x.ctx.Done():
			_ = agent.Close()
			_ = origin.Close()
		case <-done:
		}
	}()
	stripHop(response.Header, true)
	var head bytes.Buffer
	head.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = response.Header.Write(&head)
	head.WriteString("\r\n")
	if _, err = agent.Write(head.Bytes()); err == nil {
		err = x.joinFrames(agent, buffered.Reader, origin)
	}
	reason := ""
	var found *secretscan.Finding
	switch {
	case errors.As(err, &found):
		_ = x.role.recordBlock("request", *x.blockSecret(found))
		reason = found.Error()
	case errors.Is(err, errEcho):
		reason = reasonEcho
	case errors.Is(err, errFrame):
		reason = err.Error()
	default:
		reason = x.cutReason()
	}
	if reason != "" {
		x.conclude("cut", reason)
		return
	}
	x.conclude(allowed, "")
}

// socketKey is the nonce of a change to WebSocket, RFC 6455, section 4.1. The
// agent's stays here: the origin is sent one of egress's own, so that it
// carries nothing out.
type socketKey struct{ agents, own string }

const (
	keyHeader    = "Sec-Websocket-Key"
	acceptHeader = "Sec-Websocket-Accept"
)

// take remembers the agent's key and removes it.
func (k *socketKey) take(h http.Header) {
	k.agents = h.Get(keyHeader)
	h.Del(keyHeader)
}

// replace puts a key of our own in.
func (k *socketKey) replace(h http.Header) {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	k.own = base64.StdEncoding.EncodeToString(nonce)
	h.Set(keyHeader, k.own)
}

// answer checks the origin's answer to our key and makes it that to the
// agent's.
func (k *socketKey) answer(h http.Header) bool {
	if h.Get(acceptHeader) != acceptKey(k.own) {
		return false
	}
	h.Set(acceptHeader, acceptKey(k.agents))
	return true
}

// acceptKey is the answer to a key, RFC 6455, section 4.2.2.
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

const reasonProtocol = "the origin changed the protocol in a way that cannot be followed"

var errEcho = errors.New(reasonEcho)

// joinFrames passes frames both ways until one side ends or breaks the rules.
func (x *exchange) joinFrames(agent net.Conn, fromAgent *bufio.Reader, origin io.ReadWriteCloser) error {
	var (
		both   sync.WaitGroup
		outErr error
		inErr  error
	)
	toAgent := &frameWriter{w: agent}
	both.Go(func() {
		defer origin.Close()
		toOrigin := &frameWriter{w: origin, masked: true, count: func(n int) { x.sent.Add(int64(n)) }}
		outErr = relayFrames(toOrigin, &frameReader{r: fromAgent, masked: true}, x.scanner, "websocket message")
		if violates(outErr) {
			_ = toAgent.close("blocked: " + outErr.Error())
			// It tells the origin that a message of which it has a part is
			// not to be had.
			_ = toOrigin.close("")
		}
		_ = agent.Close()
	})
	both.Go(func() {
		defer agent.Close()
		if x.token == nil {
			buffer := copyBuffers.Get().(*[]byte)
			defer copyBuffers.Put(buffer)
			x.got, inErr = io.CopyBuffer(writerOnly{toAgent}, origin, *buffer)
		} else {
			toAgent.count = func(n int) { x.got += int64(n) }
			inErr = relayFrames(toAgent, &frameReader{r: bufio.NewReader(origin)}, x.token.scanner, "websocket message")
			var found *secretscan.Finding
			if errors.As(inErr, &found) {
				inErr = errEcho
			}
		}
		_ = origin.Close()
	})
	both.Wait()
	if violates(outErr) {
		return outErr
	}
	return inErr
}

// violates reports whether frames ended because of what they held.
func violates(err error) bool {
	var found *secretscan.Finding
	return errors.As(err, &found) || errors.Is(err, errFrame)
}

// writerOnly hides everything but Write.
type writerOnly struct{ io.Writer }
