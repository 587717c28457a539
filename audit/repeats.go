package audit

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"
)

const (
	blocked = "block"
	// maxWindows bounds the memory for repeated refusals; what does not fit is
	// written line by line, as far as floods are.
	maxWindows = 1024
)

// repeats counts refusals that say the same again.
type repeats struct {
	mu      sync.Mutex
	windows map[string]*window
	flood   flood
}

// window is the time in which repetitions of one refusal are only counted.
type window struct {
	record Record
	key    string
	end    time.Time
	count  uint64
	last   time.Time
	flood  bool // it counts different refusals
}

func keyOf(r Record) string {
	var key strings.Builder
	for _, part := range []string{r.Actor, r.Action} {
		key.WriteString(part)
		key.WriteByte(0)
	}
	for _, member := range []string{"rule", "host", "port", "method", "path"} {
		fmt.Fprintf(&key, "%v\x00", r.Detail[member])
	}
	return key.String()
}

// count tells whether r was counted and need not be written. due is a window
// of the same refusal that ended; its summary must be written first.
func (rs *repeats) count(r Record, now time.Time, length time.Duration) (counted bool, due *window) {
	key := keyOf(r)
	rs.mu.Lock()
	defer rs.mu.Unlock()
	w, ok := rs.windows[key]
	if ok && now.Before(w.end) {
		w.count++
		w.last = now
		return true, nil
	}
	if !rs.flood.room(r.Actor, now) {
		return true, rs.flood.count(r, now, length)
	}
	if ok && w.count > 0 {
		due = w
	}
	if !ok && len(rs.windows) >= maxWindows {
		return false, nil
	}
	r.Detail = maps.Clone(r.Detail)
	rs.windows[key] = &window{record: r, key: key, end: now.Add(length)}
	return false, due
}

// forget drops the window of a refusal whose first record was not written.
func (rs *repeats) forget(r Record) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if w, ok := rs.windows[keyOf(r)]; ok && w.count == 0 {
		delete(rs.windows, w.key)
	}
}

// ended removes and returns the windows that ended with something to tell.
func (rs *repeats) ended(now time.Time) []*window {
	return rs.take(func(w *window) bool { return !now.Before(w.end) })
}

// all removes and returns every window with something to tell.
func (rs *repeats) all() []*window {
	return rs.take(func(*window) bool { return true })
}

func (rs *repeats) take(which func(*window) bool) []*window {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var taken []*window
	for _, windows := range []map[string]*window{rs.windows, rs.flood.windows} {
		for key, w := range windows {
			if !which(w) {
				continue
			}
			delete(windows, key)
			if w.count > 0 {
				taken = append(taken, w)
			}
		}
	}
	return taken
}

// putBack keeps the count of a window whose summary could not be written.
func (rs *repeats) putBack(w *window) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	windows := rs.windows
	if w.flood {
		windows = rs.flood.windows
	}
	if newer, ok := windows[w.key]; ok {
		newer.count += w.count
		return
	}
	windows[w.key] = w
}

// summary is the line that stands for the counted refusals.
func (w *window) summary() Record {
	r := w.record
	r.Detail = maps.Clone(r.Detail)
	if r.Detail == nil {
		r.Detail = make(map[string]any, 2)
	}
	r.Detail["repeated"] = w.count
	r.Detail["last"] = w.last.UTC().Format(time.RFC3339Nano)
	return r
}
