package egress

import (
	"io"
	"sync"
	"time"
)

const (
	pumpChunk  = 64 << 10
	pumpChunks = 3
)

var pumpBuffers = sync.Pool{New: func() any { b := make([]byte, pumpChunk); return &b }}

// pump reads ahead of its reader, a bounded way, so that scanning and sending
// overlap and so that a short body is known whole before anything is sent.
type pump struct {
	source io.Reader
	begin  sync.Once
	chunks chan chunk
	stop   chan struct{}
	once   sync.Once
	held   []chunk // taken by hold, not yet read
	rest   []byte  // of current
	last   chunk
}

type chunk struct {
	buffer *[]byte
	n      int
	err    error
}

// newPump reads from r, from the first time that it is asked to r's end or
// Close.
func newPump(r io.Reader) *pump {
	return &pump{source: r, chunks: make(chan chunk, pumpChunks), stop: make(chan struct{})}
}

func (p *pump) start() { p.begin.Do(func() { go p.run() }) }

func (p *pump) run() {
	for {
		buffer := pumpBuffers.Get().(*[]byte)
		n, err := p.source.Read(*buffer)
		select {
		case p.chunks <- chunk{buffer, n, err}:
		case <-p.stop:
			return
		}
		if err != nil {
			return
		}
	}
}

// hold waits until the end of the body, or as long as it may be worth to wait
// for it: until most bytes are there or the time is over. The error is the
// body's, nil when the end was not reached.
func (p *pump) hold(most int, wait time.Duration) error {
	p.start()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for total := 0; total < most; {
		select {
		case c := <-p.chunks:
			p.keep(c)
			total += c.n
			if c.err != nil {
				return c.err
			}
		case <-timer.C:
			return nil
		}
	}
	return nil
}

// keep holds a chunk, in the one before where it has room: many small ones must
// not take as many buffers.
func (p *pump) keep(c chunk) {
	if i := len(p.held) - 1; i >= 0 && p.held[i].n+c.n <= pumpChunk {
		last := &p.held[i]
		copy((*last.buffer)[last.n:], (*c.buffer)[:c.n])
		last.n, last.err = last.n+c.n, c.err
		pumpBuffers.Put(c.buffer)
		return
	}
	p.held = append(p.held, c)
}

func (p *pump) Read(b []byte) (int, error) {
	p.start()
	for len(p.rest) == 0 {
		if p.last.err != nil {
			return 0, p.last.err
		}
		if err := p.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// next takes the next chunk; the one before goes back to the pool.
func (p *pump) next() error {
	if p.last.buffer != nil {
		pumpBuffers.Put(p.last.buffer)
		p.last.buffer = nil
	}
	if len(p.held) > 0 {
		p.last, p.held = p.held[0], p.held[1:]
	} else {
		select {
		case p.last = <-p.chunks:
		case <-p.stop:
			return io.ErrClosedPipe
		}
	}
	p.rest = (*p.last.buffer)[:p.last.n]
	return nil
}

// Close ends the reading ahead.
func (p *pump) Close() error {
	p.once.Do(func() { close(p.stop) })
	return nil
}
