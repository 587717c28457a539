package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/proposal"
)

const (
	// MaxRefusals is how many different refusals Load returns, the newest.
	MaxRefusals = 2000
	// maxShown bounds each text of a refusal, in characters.
	maxShown = 2048
)

// Load reads egress's refusals from the audit chain at path, each once with
// its count, in the order in which they came up last. The chain is hostile
// input: it is read as audit.Refusals does, and what does not look like a
// refusal of egress is passed over. No chain yet is no refusals.
func Load(path string) ([]Refusal, error) {
	found := make(map[Refusal]*Refusal)
	err := audit.Refusals(path, func(e audit.Entry) error {
		r, ok := refusalOf(e)
		if !ok {
			return nil
		}
		key := r
		key.Count, key.First, key.Last = 0, time.Time{}, time.Time{}
		if known, ok := found[key]; ok {
			known.Count += r.Count
			known.Last = r.Last
			return nil
		}
		found[key] = &r
		if len(found) >= 2*MaxRefusals {
			for _, old := range newest(found)[MaxRefusals:] {
				old.Count, old.First, old.Last = 0, time.Time{}, time.Time{}
				delete(found, old)
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the refusals of %s: %w", path, err)
	}
	refusals := newest(found)
	refusals = refusals[:min(len(refusals), MaxRefusals)]
	slices.Reverse(refusals)
	return refusals, nil
}

// newest lists the refusals, the one that came up last first.
func newest(found map[Refusal]*Refusal) []Refusal {
	all := make([]Refusal, 0, len(found))
	for _, r := range found {
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b Refusal) int {
		if c := b.Last.Compare(a.Last); c != 0 {
			return c
		}
		return compare(a, b)
	})
	return all
}

// refusalOf reads one line of the chain.
func refusalOf(e audit.Entry) (Refusal, bool) {
	if e.Actor != "egress" || e.Decision != "block" || e.Action != "connect" && e.Action != "request" {
		return Refusal{}, false
	}
	var detail struct {
		Rule      policy.Rule `json:"rule"`
		Host      string      `json:"host"`
		Port      uint16      `json:"port"`
		Method    string      `json:"method"`
		Path      string      `json:"path"`
		Plain     bool        `json:"plain"`
		WebSocket bool        `json:"websocket"`
		Repeated  uint64      `json:"repeated"`
		Last      time.Time   `json:"last"`
	}
	if err := json.Unmarshal(e.Detail, &detail); err != nil || detail.Rule == "" {
		return Refusal{}, false
	}
	r := Refusal{
		Rule:  policy.Rule(proposal.Clean(string(detail.Rule), maxShown)),
		Host:  proposal.Clean(detail.Host, maxShown),
		Port:  detail.Port,
		Plain: detail.Plain, WebSocket: detail.WebSocket,
		Method: proposal.Clean(detail.Method, maxShown),
		Path:   proposal.Clean(detail.Path, maxShown),
		Count:  min(max(detail.Repeated, 1), maxRepeated),
		First:  e.Time, Last: e.Time,
	}
	if e.Action == "connect" {
		r.Method, r.Path = "CONNECT", ""
	}
	if detail.Last.After(e.Time) {
		r.Last = e.Time // nothing happens after it was written
	} else if !detail.Last.IsZero() {
		r.Last = detail.Last
	}
	return r, true
}

// maxRepeated keeps a forged count from overflowing a sum.
const maxRepeated = 1 << 32
