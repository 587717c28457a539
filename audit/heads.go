package audit

import "sync"

// head is one line to be remembered elsewhere.
type head struct {
	seq  uint64
	hash string
}

// heads waits for the background to tell the heads that writers passed.
type heads struct {
	mu      sync.Mutex
	pending []head
}

// note is called after a write of n lines that ended with seq.
func (h *heads) note(seq, n uint64, hash string) {
	if seq/headInterval == (seq-n)/headInterval {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pending = append(h.pending, head{seq, hash})
}

func (h *heads) tell(f func(uint64, string)) {
	h.mu.Lock()
	pending := h.pending
	h.pending = nil
	h.mu.Unlock()
	for _, one := range pending {
		f(one.seq, one.hash)
	}
}
