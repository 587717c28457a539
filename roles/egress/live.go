package egress

import (
	"fmt"
	"net/http"
	"slices"
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

	mu        sync.Mutex
	upstreams map[class]*upstream
	networks  map[*routes.Route]string
	scanners  map[destination]*secretscan.Scanner
	retired   []retired
	epoch     uint64
	closed    bool
}

// retired is what new requests do not get any more. One that got it just
// before may still leave an idle connection in it.
type retired struct {
	upstream *upstream
	since    time.Time
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
		table:     table,
		role:      r,
		upstreams: make(map[class]*upstream),
		networks:  make(map[*routes.Route]string),
		scanners:  make(map[destination]*secretscan.Scanner),
	}, nil
}

// transport is what sends the exchange's request, on connections that it may
// use.
func (l *live) transport(x *exchange) http.RoundTripper {
	c := class{
		inspect: l.role.NextHop != nil && x.route.Pipelock != "passthrough",
		plain:   x.plain,
		// A pool of HTTP/1 connections is the faster way; HTTP/2 is for
		// those who speak it, whose trailers and streams may need it.
		http2: x.in.ProtoMajor == 2,
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.follow()
	c.networks = l.networksKey(x.route)
	u, ok := l.upstreams[c]
	if !ok {
		u = l.role.newUpstream(c, x.route.Networks)
		if l.closed {
			u.any.DisableKeepAlives = true
			u.retire()
		}
		l.upstreams[c] = u
	}
	return u.pick(x)
}

// networksKey is the networks of a route as a text that can be compared; ""
// is none. It needs the lock.
func (l *live) networksKey(route *routes.Route) string {
	if len(route.Networks) == 0 {
		return ""
	}
	key, ok := l.networks[route]
	if !ok {
		key = fmt.Sprint(route.Networks)
		l.networks[route] = key
	}
	return key
}

// follow drops the connections to a process that the next hop has replaced.
func (l *live) follow() {
	if hop, ok := l.role.NextHop.(Replaceable); ok && hop.Epoch() != l.epoch {
		l.epoch = hop.Epoch()
		l.drop()
	}
}

// tidy does so without waiting for a request, closes what was idle for long, and
// what became idle of the retired, so that the process before can end.
func (l *live) tidy(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.follow()
	for _, u := range l.upstreams {
		u.tidy(now)
	}
	for _, r := range l.retired {
		r.upstream.retire()
	}
	l.retired = slices.DeleteFunc(l.retired, func(r retired) bool { return now.Sub(r.since) > keepRetired })
}

// drop forgets the connections; those in use end with their request.
func (l *live) drop() {
	for _, u := range l.upstreams {
		u.retire()
		l.retired = append(l.retired, retired{u, time.Now()})
	}
	clear(l.upstreams)
}

// close ends the idle connections; a request that still comes opens its own.
// What it returns has to be tidied further.
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
)
