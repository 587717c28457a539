package gitgate

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

// The bands of side-band-64k.
const (
	bandStatus   = 1
	bandProgress = 2
	bandError    = 3
)

// maxBand is how much of a message one pkt-line takes.
const maxBand = maxPkt - 5

// report is the answer to a push, in the form the client asked for.
type report struct {
	mu      sync.Mutex
	w       http.ResponseWriter
	request *pushRequest
	begun   bool
	redact  func(string) string
}

func (r *report) begin() {
	if !r.begun {
		r.begun = true
		r.w.Header().Set("Content-Type", "application/x-"+receivePack+"-result")
		r.w.Header().Set("Cache-Control", "no-cache")
	}
}

// say shows a line in the client's terminal, "remote: …". The line is known to
// be clean of control characters.
func (r *report) say(line string) {
	if r.request.sideband {
		r.band(bandProgress, []byte(r.redact(line)+"\n"))
	}
}

// band sends bytes on a band; an error is found when the answer ends.
func (r *report) band(band byte, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begin()
	lines := pktline.NewEncoder(r.w)
	for len(data) > 0 {
		n := min(len(data), maxBand)
		_ = lines.Encode(append([]byte{band}, data[:n]...))
		data = data[n:]
	}
	_ = http.NewResponseController(r.w).Flush()
}

// raw sends bytes as they are.
func (r *report) raw(data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begin()
	_, _ = r.w.Write(data)
	_ = http.NewResponseController(r.w).Flush()
}

// end closes the bands.
func (r *report) end() {
	if r.request.sideband {
		r.raw([]byte("0000"))
	}
}

// rejected says that no reference was changed; reason is short and for all of
// them.
func (r *report) rejected(reason string) {
	if r.request.status {
		var status bytes.Buffer
		lines := pktline.NewEncoder(&status)
		_ = lines.Encodef("unpack ok\n")
		for _, c := range r.request.commands {
			_ = lines.Encodef("ng %s %s\n", c.ref, strings.ReplaceAll(r.redact(reason), "\n", " "))
		}
		_ = lines.Flush()
		if r.request.sideband {
			r.band(bandStatus, status.Bytes())
		} else {
			r.raw(status.Bytes())
		}
	}
	r.end()
}

// waiting says something again and again until the returned function is
// called.
func (r *report) waiting(every time.Duration, words string) (stop func()) {
	done := make(chan struct{})
	var ended sync.WaitGroup
	start := time.Now()
	ended.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				r.say(fmt.Sprintf("git-gate: %s (%s)", words, time.Since(start).Round(time.Second)))
			}
		}
	})
	return func() { close(done); ended.Wait() }
}
