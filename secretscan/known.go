package secretscan

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// KnownSecret is the rule of a bottle's own value.
	KnownSecret = "known-secret"
	// minValue is the length of the shortest value that can be searched for.
	minValue = gram
	// minFolded is the least number of letters and digits a value must have to
	// be recognised with separators between them in any case; see spread for
	// the others.
	minFolded = 12
	// nestValue is the length up to which twofold encodings are listed,
	// because they are too short to be decoded.
	nestValue = 16
	// longFragment is the length of a fragment that is not shown.
	longFragment = 2 * gram
	// fragmentTime is how long fragments of one value are added up.
	fragmentTime = time.Minute
)

// known finds the bottle's own secret values. The nil known finds none.
type known struct {
	values []string
	forms  *index    // the values, their encodings and their fragments
	folded *index    // letters and digits of the values in lower case
	short  []pattern // values in lower case that are too short for folded

	// longest is the length of the longest pattern.
	longest int

	mu     sync.Mutex
	pieces [][]piece // by value
}

// piece is a fragment of a value that was seen.
type piece struct {
	begin, end int
	seen       time.Time
}

func newKnown(values []string) (*known, error) {
	k := &known{}
	var forms, folded []pattern
	for i, value := range values {
		if len(value) < minValue {
			return nil, fmt.Errorf("secretscan: known value %d has %d bytes; fewer than %d would match everywhere", i+1, len(value), minValue)
		}
		if slices.Contains(k.values, value) {
			continue
		}
		number := len(k.values)
		k.values = append(k.values, value)
		whole := slices.Concat(encodings(value), wholeForms(value), []string{value})
		if plus := strings.ReplaceAll(value, " ", "+"); plus != value {
			whole = append(append(whole, plus), encodings(plus)...) // as in a query
		}
		if len(value) < nestValue {
			for _, form := range encodings(value) {
				whole = append(whole, encodings(form)...)
			}
		}
		slices.Sort(whole)
		for _, form := range slices.Compact(whole) {
			if len(form) >= gram {
				forms = append(forms, pattern{text: form, value: number, offset: -1})
			}
		}
		if len(value) >= 2*gram {
			for offset := range len(value) - gram + 1 {
				forms = append(forms, pattern{text: value[offset : offset+gram], value: number, offset: offset})
			}
		}
		forms = append(forms, pieceStreams(value, number)...)
		inHex := fmt.Sprintf("%x", value) // to be found as 41:42:43 and the like
		for _, form := range append(base64Forms(value), value, reversed(value), inHex, reversed(inHex), inDecimals(value)) {
			p := pattern{text: foldString(form), value: number, offset: -1}
			if len(p.text) < minFolded {
				p.exact = letters(form)
			}
			if len(p.text) >= gram {
				folded = append(folded, p)
			}
		}
		folded = append(folded, dumpStreams(value, number)...)
	}
	for number, value := range k.values {
		if lower := strings.ToLower(value); lower != value && len(foldString(value)) < minFolded {
			k.short = append(k.short, pattern{text: lower, value: number})
		}
	}
	for _, p := range forms {
		k.longest = max(k.longest, len(p.text))
	}
	k.forms, k.folded = newIndex(forms), newIndex(folded)
	k.pieces = make([][]piece, len(k.values))
	return k, nil
}

// scan reports known values in text and returns the position from which on
// more text could make one. Fragments are added up over the calls, or, with
// longAlone, reported each by itself when they are long.
func (k *known) scan(text []byte, final, longAlone bool, report func(hit) bool) (hold int) {
	if k == nil {
		return len(text)
	}
	hold = len(text)
	if !final {
		hold = k.forms.tail(text)
	}
	var skip map[int]int // by value: fragments before it were already extended over it
	k.forms.find(text, func(at int, candidates []pattern) bool {
		for _, p := range candidates {
			switch rest := text[at:]; {
			case p.offset < 0 && len(p.text) > len(rest):
				if strings.HasPrefix(p.text, string(rest)) {
					hold = min(hold, at)
				}
			case p.offset < 0:
				if string(rest[:len(p.text)]) == p.text && !report(k.hit(p.value, at, at+len(p.text))) {
					return false
				}
			case p.stream != nil:
				if h, told := k.piece(text, at, p, longAlone); told && !report(h) {
					return false
				}
			case at >= skip[p.value]:
				n := common(rest, k.values[p.value][p.offset:])
				if skip == nil {
					skip = make(map[int]int)
				}
				skip[p.value] = at + n - gram + 1
				if k.tells(p.value, p.offset, p.offset+n, longAlone) && !report(k.hit(p.value, at, at+n)) {
					return false
				}
			}
		}
		return true
	})
	return hold
}

// piece is the hit of a piece of a value of which a window stands at a place in
// text, and whether it is to be told.
func (k *known) piece(text []byte, at int, p pattern, longAlone bool) (hit, bool) {
	from, to, begin, end := p.stream.around(text, at, p.offset)
	whole := len(k.values[p.value])
	begin, end = max(begin, 0), min(end, whole)
	least := minPiece
	if whole < 2*gram { // no pieces are added up, but words may be cut at both ends
		least = max(least, whole-2*(p.stream.bytes-1))
	}
	return k.hit(p.value, from, to), end-begin >= least && k.tells(p.value, begin, end, longAlone)
}

// tells tells whether a fragment of a value is a hit.
func (k *known) tells(value, begin, end int, longAlone bool) bool {
	if longAlone {
		return end-begin >= min(longFragment, len(k.values[value])-gram+1)
	}
	return k.complete(value, begin, end)
}

// scanName reports the values that are found in other texts in their own case
// alone. report returns false to end it.
func (k *known) scanName(name string, report func(hit) bool) {
	if len(k.short) == 0 {
		return
	}
	lower := strings.ToLower(name)
	for _, p := range k.short {
		if at := strings.Index(lower, p.text); at >= 0 && !report(k.hit(p.value, at, at+len(p.text))) {
			return
		}
	}
}

func (k *known) hit(value, begin, end int) hit {
	return hit{rule: KnownSecret, begin: begin, end: end, secret: k.values[value]}
}

func common(text []byte, value string) int {
	n := min(len(text), len(value))
	for i := range n {
		if text[i] != value[i] {
			return i
		}
	}
	return n
}

// commonEnd is common from the ends on.
func commonEnd(text []byte, value string) int {
	n := 0
	for n < min(len(text), len(value)) && text[len(text)-1-n] == value[len(value)-1-n] {
		n++
	}
	return n
}

// complete notes a fragment of a value, or tells that it and the others seen
// lately make up the value, but for less than a fragment. That one is not
// noted, and the others stay: tried again it is refused again.
func (k *known) complete(value, begin, end int) bool {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	seen := slices.DeleteFunc(k.pieces[value], func(p piece) bool { return now.Sub(p.seen) > fragmentTime })
	k.pieces[value] = seen
	fragment := piece{begin, end, now}
	pieces := append(slices.Clip(seen), fragment)
	sorted := slices.SortedFunc(slices.Values(pieces), func(a, b piece) int { return a.begin - b.begin })
	covered, reach := 0, 0
	for _, p := range sorted {
		if p.end > reach {
			covered += p.end - max(reach, p.begin)
			reach = p.end
		}
	}
	if len(k.values[value])-covered < gram {
		return true
	}
	seen = slices.DeleteFunc(seen, func(p piece) bool { return p.begin >= begin && p.end <= end })
	k.pieces[value] = append(seen, fragment)
	return false
}
