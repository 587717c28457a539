package egress

import (
	"bufio"
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
	if !ok || !x.webSocket || response.Header.Get("Sec-Websocket-Extensions") != "" {
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
	if _, err := io.WriteString(agent, "HTTP/1.1 101 Switching Protocols\r\n"); err == nil {
		err = response.Header.Write(agent)
		if err == nil {
			_, err = io.WriteString(agent, "\r\n")
		}
	}
	if err == nil {
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
	case x.wasCut():
		reason = "the policy no longer allows it"
	}
	if reason != "" {
		x.conclude("cut", reason)
		return
	}
	x.conclude(allowed, "")
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
		outErr = relayFrames(&frameWriter{w: origin, masked: true, count: func(n int) { x.sent.Add(int64(n)) }},
			&frameReader{r: fromAgent, masked: true}, x.scanner, "websocket message")
		if violates(outErr) {
			_ = toAgent.violation(outErr)
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
