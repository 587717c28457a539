package supervisor

import (
	"math/rand/v2"
	"time"
)

const (
	firstBackOff = 50 * time.Millisecond
	maxBackOff   = 5 * time.Second
)

// history is one role's deaths within the window, oldest first.
type history struct {
	window time.Duration
	max    int
	deaths []death
}

type death struct {
	at   time.Time
	code int
}

func (h *history) died(now time.Time, code int) {
	old := 0
	for old < len(h.deaths) && now.Sub(h.deaths[old].at) > h.window {
		old++
	}
	h.deaths = append(h.deaths[old:], death{now, code})
}

func (h *history) exhausted() bool { return len(h.deaths) >= h.max }
func (h *history) firstCode() int  { return h.deaths[0].code }

// backOff doubles with each death in the window. It never grows so long that a
// role which dies at once every time would slip through the window for ever.
// The jitter takes away up to a half.
func (h *history) backOff() time.Duration {
	limit := min(maxBackOff, h.window/time.Duration(2*h.max))
	d := firstBackOff
	for range len(h.deaths) - 1 {
		if d *= 2; d >= limit {
			break
		}
	}
	d = min(d, limit)
	return d - rand.N(d/2+1)
}
