package egress

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// live is what is in force between two reloads.
type live struct {
	table      *routes.Table
	generation int
	role       *Role

	mu         sync.Mutex
	transports map[class]*http.Transport
	scanners   map[destination]*secretscan.Scanner
	retired    []retired
	epoch      uint64
	closed     bool
}

// retired is a transport that new requests do not get any more. One that got
// it just before may still leave an idle connection in it.
type retired struct {
	transport *http.Transport
	since     time.Time
}

// class is what two requests must agree in to share connections.
type class struct {
	inspect  bool   // pipelock's authority is trusted
	networks string // ranges an address may lie in beside the public ones
	plain    bool
	http2    bool
}

// read makes the routes file into what could be in force.
func (r *Role) read() (*live, error) {
	b, err := readFile(r.RoutesPath, maxRoutes)
	if err != nil {
		return nil, err
	}
	table, err := routes.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.RoutesPath, err)
	}
	return &live{
		table:      table,
		role:       r,
		transports: make(map[class]*http.Transport),
		scanners:   make(map[destination]*secretscan.Scanner),
	}, nil
}

// transport returns the connections that a request of the exchange may use.
func (l *live) transport(x *exchange) *http.Transport {
	c := class{
		inspect: l.role.NextHop != nil && x.route.Pipelock != "passthrough",
		plain:   x.plain,
		// A pool of HTTP/1 connections is the faster way; HTTP/2 is for
		// those who speak it, whose trailers and streams may need it.
		http2: x.in.ProtoMajor == 2,
	}
	if len(x.route.Networks) > 0 {
		c.networks = networksKey(x.route.Networks)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.follow()
	t, ok := l.transports[c]
	if !ok {
		t = l.role.newTransport(c, x.route.Networks)
		if l.closed {
			t.DisableKeepAlives = true
		}
		l.transports[c] = t
	}
	return t
}

func networksKey(networks []netip.Prefix) string {
	var key strings.Builder
	for _, network := range networks {
		key.WriteString(network.String())
		key.WriteByte(' ')
	}
	return key.String()
}

// follow drops the connections to a process that the next hop has replaced.
func (l *live) follow() {
	if hop, ok := l.role.NextHop.(Replaceable); ok && hop.Epoch() != l.epoch {
		l.epoch = hop.Epoch()
		l.drop()
	}
}

// tidy does so without waiting for a request, and closes what became idle in
// retired transports, so that the process before can end.
func (l *live) tidy(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.follow()
	for _, r := range l.retired {
		r.transport.CloseIdleConnections()
	}
	l.retired = slices.DeleteFunc(l.retired, func(r retired) bool { return now.Sub(r.since) > keepRetired })
}

// drop forgets the connections; those in use end with their request.
func (l *live) drop() {
	for _, t := range l.transports {
		t.CloseIdleConnections()
		l.retired = append(l.retired, retired{t, time.Now()})
	}
	clear(l.transports)
}

// close ends the idle connections; a request that still comes opens its own.
// The transports it returns have to be tidied further.
func (l *live) close() []retired {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.drop()
	return l.retired
}

// inherit goes on tidying what the table before left behind.
func (l *live) inherit(past []retired) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = append(l.retired, past...)
}

const (
	// tidyInterval is how often idle connections of the past are looked for,
	// keepRetired, how long.
	tidyInterval = time.Second
	keepRetired  = 10 * time.Minute
	// idleUpstream is how long an unused connection to an origin is kept.
	idleUpstream = 90 * time.Second
	// expectWait is how long an origin may take to ask for a body that waits
	// to be asked for.
	expectWait = 5 * time.Second
	// maxResponseHead bounds a response's head.
	maxResponseHead = 1 << 20
	copyBuffer      = 32 << 10
)

func (r *Role) newTransport(c class, networks []netip.Prefix) *http.Transport {
	roots := r.trust.origins
	if c.inspect {
		roots = r.trust.inspected
	}
	t := &http.Transport{
		DialContext:            r.dialer(networks),
		TLSClientConfig:        clientTLS(roots),
		TLSHandshakeTimeout:    handshakeTimeout,
		MaxIdleConnsPerHost:    64,
		MaxIdleConns:           512,
		IdleConnTimeout:        idleUpstream,
		ExpectContinueTimeout:  expectWait,
		MaxResponseHeaderBytes: maxResponseHead,
		DisableCompression:     true,
		WriteBufferSize:        copyBuffer,
		ReadBufferSize:         copyBuffer / 4,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	t.Protocols.SetHTTP2(c.http2)
	if c.plain && r.NextHop != nil {
		// The next hop takes plain HTTP in absolute form, not in a tunnel.
		t.Proxy = http.ProxyURL(nextHopURL)
		t.DialContext = r.dialNextHop
	}
	return t
}
