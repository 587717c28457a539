package egress

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/claude-bottle/claude-bottle/internal/http1"
)

// server is one of HTTP, as net/http's.
type server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
	Close() error
}

const (
	// maxConnections bounds the agent's connections to a listener; more wait.
	maxConnections = 512
	// maxStreams bounds the requests of an HTTP/2 connection, the buffers what
	// a stream and a connection may send that nobody reads, in bytes.
	maxStreams       = 100
	streamBuffer     = 256 << 10
	connectionBuffer = 512 << 10

	headerTimeout    = 30 * time.Second
	handshakeTimeout = 15 * time.Second
	// idleTimeout is how long a connection may lie idle between requests.
	idleTimeout = 5 * time.Minute
)

// server serves what comes to the proxy itself, and HTTP/2 in tunnels.
func (r *Role) server(h http.HandlerFunc) *http.Server {
	return &http.Server{
		Handler:           r.counted(h),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHead,
		ConnContext:       connContext,
		ErrorLog:          slog.NewLogLogger(r.Log.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReadFrameSize:              16 << 10,
			MaxReceiveBufferPerStream:     streamBuffer,
			MaxReceiveBufferPerConnection: connectionBuffer,
		},
		// "OPTIONS *" is for the handler to refuse.
		DisableGeneralOptionsHandler: true,
	}
}

// server1 serves HTTP/1.1 in tunnels, where most requests are.
func (r *Role) server1(h http.HandlerFunc) *http1.Server {
	return &http1.Server{
		Handler:     r.counted(h),
		HeadTimeout: headerTimeout,
		IdleTimeout: idleTimeout,
		ConnContext: connContext,
		Log:         r.Log,
	}
}

// counted is h, with its calls counted as open.
func (r *Role) counted(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.active.enter()
		defer r.active.leave()
		h(w, req)
	})
}
