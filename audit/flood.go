package audit

import (
	"time"

	"golang.org/x/time/rate"
)

// An agent can be refused as often as it likes, each time for another path, so
// the refusals of one actor that are written whole are limited. Those beyond
// are counted by actor, action, rule and host.
const (
	floodBurst  = 500
	floodPerSec = 5
	// maxFloods bounds the summaries of one window, for hosts can be made up
	// like paths: refusals of further hosts are counted together.
	maxFloods = 16
)

// flood counts refusals that are too many to be written.
type flood struct {
	limits  map[string]*rate.Limiter // by actor
	windows map[string]*window
}

func newFlood() flood {
	return flood{limits: make(map[string]*rate.Limiter), windows: make(map[string]*window)}
}

// room reports whether one more refusal of the actor may be written.
func (f *flood) room(actor string, now time.Time) bool {
	limit, ok := f.limits[actor]
	if !ok {
		limit = rate.NewLimiter(floodPerSec, floodBurst)
		f.limits[actor] = limit
	}
	return limit.AllowN(now, 1)
}

// count counts r. due is a window that ended; its summary must be written.
func (f *flood) count(r Record, now time.Time, length time.Duration) (due *window) {
	r = common(r, "rule", "host")
	key := keyOf(r)
	w, ok := f.windows[key]
	if !ok && len(f.windows) >= maxFloods {
		r = common(r, "rule")
		key = keyOf(r)
		w, ok = f.windows[key]
	}
	if ok && now.Before(w.end) {
		w.count++
		w.last = now
		return nil
	}
	f.windows[key] = &window{record: r, key: key, end: now.Add(length), count: 1, last: now, flood: true}
	return w
}

// common is r with these members of its detail alone.
func common(r Record, members ...string) Record {
	detail := make(map[string]any, len(members))
	for _, member := range members {
		if value, ok := r.Detail[member]; ok {
			detail[member] = value
		}
	}
	r.Detail = detail
	return r
}
